"""The pages: runs, one run, workers, and signing in."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from rich.filesize import decimal
from tornado.web import HTTPError

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.spec import RunKind
from producer.report.describe import described_spec
from producer.view.durations import shown_duration
from producer.view.hidden_keys import hidden_reason
from producer.view.page_text import page_text
from producer.view.range_map import strip_picture
from producer.view.rate_chart import lag_chart, rate_chart
from producer.web.access import SESSION_SECONDS
from producer.web.request import COOKIE, Request
from producer.web.run_reader import RunFilter, is_working

_LONGEST_NAME = 60


class WebPage(Request):
    """A page made by a template."""

    def get_template_namespace(self) -> dict[str, Any]:
        """Names that every template may use."""
        return {
            **super().get_template_namespace(),
            "xhtml_escape": page_text,
            "options": self.site.options,
            "who": self.who,
            "size": decimal,
            "duration": shown_duration,
            "moment": _moment,
            "percent": _percent,
            "counted": counted,
            "page": "",
            "refresh": False,
        }

    def write_error(self, status_code: int, **_: Any) -> None:
        """Write an error page in the same style, without a traceback."""
        self.render("error.html", status=status_code, reason=self._reason)

    @property
    def is_fragment(self) -> bool:
        """Return whether a script requests only the changing part."""
        return self.get_query_argument("fragment", "") == "1"


class RunsPage(WebPage):
    """Every run, newest first."""

    async def get(self) -> None:
        """Show a page of runs."""
        wanted = read_filter(self)
        first = read_number(self, "first")
        found = await self.read(self.site.reader.runs, wanted, first)
        following = None
        if found.following is not None:
            following = "/?" + urlencode({**_query(wanted), "first": found.following})
        self.render(
            "runs.html",
            page="runs",
            found=found,
            wanted=wanted,
            states=list(RunState),
            kinds=list(RunKind),
            following=following,
            refresh=True,
        )


class RunPage(WebPage):
    """One run."""

    async def get(self, run_id: str) -> None:
        """Show the run as it is now."""
        detail = await self.read(self.site.reader.detail, run_id)
        hidden = hidden_reason if self.site.options.hide_keys else str
        self.render(
            "run_now.html" if self.is_fragment else "run.html",
            page="run",
            detail=detail,
            run=detail.live.run,
            chart=rate_chart(detail.rate),
            lag_chart=lag_chart(detail.lag),
            strips=[(strip, strip_picture(strip)) for strip in detail.strips],
            facts=described_spec(detail.spec),
            refresh=is_working(detail),
            shown_reason=hidden,
            limit_text=lambda limit: "none" if limit is None else f"{limit:.0f}",
            cut_over=[hidden(line) for line in self.site.cut_overs.lines(run_id)],
        )


class WorkersPage(WebPage):
    """The worker processes that reported to recent runs."""

    async def get(self) -> None:
        """Show them."""
        listing = await self.read(self.site.reader.workers)
        self.render("workers.html", page="workers", listing=listing, refresh=True)


class SignInPage(WebPage):
    """Asks for the password."""

    is_public = True

    def get(self) -> None:
        """Show the form."""
        self._show()

    async def post(self) -> None:
        """Compare the password and begin a session."""
        self.check_origin()
        if self.site.password is None:
            raise HTTPError(404)
        name = self.get_body_argument("name", "")[:_LONGEST_NAME] or "somebody"
        if not await self.site.password.is_right(self.get_body_argument("password", "")):
            self.set_status(403)
            self._show("That is not the password.")
            return
        self.set_cookie(
            COOKIE,
            self.site.sessions.begin(name),
            httponly=True,
            samesite="Strict",
            secure=self.site.options.secure_cookies,
            max_age=int(SESSION_SECONDS),
        )
        self.redirect(_own_page(self.get_query_argument("next", "/")))

    def _show(self, problem: str = "") -> None:
        self.render("sign_in.html", page="sign-in", problem=problem)


class SignOut(WebPage):
    """Ends the session."""

    def post(self) -> None:
        """Forget the cookie's value."""
        self.check_origin()
        self.site.sessions.end(self.get_cookie(COOKIE))
        self.clear_cookie(COOKIE)
        self.redirect("/")


class NothingHere(WebPage):
    """Every other address."""

    def get(self) -> None:
        """Say so."""
        raise HTTPError(404)


def read_filter(request: Request) -> RunFilter:
    """Read the filter in a request's query; an unknown value is a bad request."""
    state, kind = (request.get_query_argument(name, "") for name in ("state", "kind"))
    try:
        return RunFilter(RunState(state) if state else None, RunKind(kind) if kind else None)
    except ValueError:
        raise HTTPError(400, reason="There is no such state or kind of run") from None


def read_number(request: Request, name: str) -> int:
    """Read a number from a request's query; 0 if it is missing."""
    text = request.get_query_argument(name, "0")
    if not text.isdigit() or len(text) > 20:
        raise HTTPError(400, reason=f"{name} is not a number")
    return int(text)


def _query(wanted: RunFilter) -> dict[str, str]:
    return {
        name: value.value
        for name, value in (("state", wanted.state), ("kind", wanted.kind))
        if value is not None
    }


def _own_page(address: str) -> str:
    """Return an address on this site; replace any other address with the first page."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"


def _percent(share: float) -> str:
    """Return the share in percent; 100 only if it is complete."""
    return f"{math.floor(1000 * share) / 10:g}%"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
