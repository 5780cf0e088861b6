"""The common part of every request: its host, its visitor, and the headers of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from tornado.web import HTTPError, RequestHandler

from dataworks_tasks.errors import DataWorksError, LedgerUnavailable, UnknownName
from dataworks_tasks.ledger.contract import Ledger
from producer.connections import Connections
from producer.web.access import PasswordCheck, Sessions, is_token
from producer.web.cut_overs import CutOvers
from producer.web.options import WebOptions
from producer.web.run_reader import RunReader

COOKIE = "dataworks_session"
_MISDIRECTED = 421
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Under no-referrer a browser sends "Origin: null", even from the page's own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "dataworks",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """What all handlers share."""

    options: WebOptions
    connections: Connections
    reader: RunReader
    sessions: Sessions
    password: PasswordCheck | None
    cut_overs: CutOvers
    acting: Lock = field(default_factory=Lock)
    """Held during an action, because its connections are made on first use."""

    @property
    def ledger(self) -> Ledger:
        """The ledger, read for a visitor who waits."""
        return self.connections.watched_ledger


class Request(RequestHandler):
    """Checks the host and the visitor before a page or an API answer is made."""

    site: Site
    is_public = False
    """Whether a visitor who is not signed in may see it."""

    def initialize(self, site: Site) -> None:
        """Keep the site that the page belongs to."""
        self.site = site

    def set_default_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse foreign host names (DNS rebinding), and visitors without access."""
        host = urlsplit(f"//{self.request.host}").hostname or ""
        if host.lower() not in self.site.options.hosts:
            raise HTTPError(_MISDIRECTED, reason="Add this name with --allowed-host")
        if not (self.is_public or not self.site.options.is_protected or self.who):
            self.ask_to_sign_in()

    def ask_to_sign_in(self) -> None:
        """Answer a visitor who is not signed in."""
        if self.site.password is None:
            raise HTTPError(401, reason="Send the token: Authorization: Bearer ...")
        self.redirect(f"/sign-in?next={quote(self.request.uri or '/')}")

    @property
    def who(self) -> str | None:
        """Return who is signed in, by cookie or token; None if nobody."""
        if is_token(self.site.options.token, self.request.headers.get("Authorization", "")):
            return "token"
        return self.site.sessions.who(self.get_cookie(COOKIE))

    def check_origin(self) -> None:
        """Refuse a request from another site's page."""
        origin = self.request.headers.get("Origin")
        if origin is None or urlsplit(origin).netloc != self.request.host:
            raise HTTPError(403, reason="The request came from another site")

    async def read(self, question: Callable[..., T], *arguments: Any) -> T:
        """Read the ledger on another thread; turn its errors into HTTP errors."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(None, question, *arguments)
        except UnknownName as error:
            raise HTTPError(404, reason=_reason(error)) from None
        except LedgerUnavailable as error:
            raise HTTPError(503, reason=_reason(error)) from None
        except DataWorksError as error:
            raise HTTPError(409, reason=_reason(error)) from None


def _reason(error: DataWorksError) -> str:
    """Return the error's fact, in the form that an HTTP status line can hold."""
    fact = error.fact.encode("ascii", "replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in fact)[:200]
