"""``--source``, ``--target`` and ``--broker``: connections of one command, instead of settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, quote

import click

from dataworks_tasks.errors import UsageError
from producer.address_settings import ADDRESS_SETTINGS
from producer.cli.shared.terminal_lines import broken

if TYPE_CHECKING:
    from dataworks_tasks.ledger.run_flags import RunFlags

F = TypeVar("F", bound=Callable[..., Any])

_SECRET_OPTION = re.compile(r"[^=]*(password|properties|token|secret)[^=]*=", re.IGNORECASE)
_WITH_PASSWORD = {"", "DEFAULT", "SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"}
"""Authentication mechanisms that need a password; certificates and tokens do not."""


@dataclass(frozen=True, slots=True)
class _Address:
    """A connection string in the parts that hold a password."""

    scheme: str
    user: str
    password: str | None
    rest: str

    @classmethod
    def parse(cls, text: str) -> _Address:
        scheme, mark, after = text.partition("://")
        if not mark:
            # The check of the setting reports what is wrong with it.
            return cls("", "", None, text)
        head, question, query = after.partition("?")
        if "@" not in head and "/" not in head:
            # A password that is not percent-encoded; the check of the setting refuses it.
            head, question, query = after, "", ""
        signed_in, at, host = head.rpartition("@")
        user, colon, password = signed_in.partition(":")
        return cls(scheme, user, password if at and colon else None, f"{host}{question}{query}")

    @property
    def is_secret(self) -> bool:
        """Whether it holds a user name or a password, or cannot be taken apart to see that."""
        return bool(self.user) or self.has_password or not self.scheme or "@" in self.rest

    @property
    def has_password(self) -> bool:
        """Whether it contains a password anywhere."""
        options = self.rest.partition("?")[2].split("&")
        return bool(self.password) or any(map(_SECRET_OPTION.match, options))

    @property
    def lacks_password(self) -> bool:
        """Whether its user needs a password that is missing."""
        options = {
            name.lower(): values[-1]
            for name, values in parse_qs(self.rest.partition("?")[2]).items()
        }
        mechanism = options.get("authmechanism", "").upper()
        return bool(self.user) and self.password is None and mechanism in _WITH_PASSWORD

    def __str__(self) -> str:
        """Return the address without passwords, for people."""
        place, question, query = self.rest.partition("?")
        if not self.scheme or "@" in self.rest:
            return "..."
        options = [one for one in query.split("&") if not _SECRET_OPTION.match(one)]
        shown = f"{place}{question}{'&'.join(options)}".rstrip("?")
        return f"{self.scheme}://{f'{self.user}@' if self.user else ''}{shown}"

    def with_password(self, password: str) -> str:
        return f"{self.scheme}://{self.user}:{quote(password, safe='')}@{self.rest}"


@dataclass(frozen=True, slots=True)
class ConnectionFlags:
    """The values of the flags; they may hold a password, so no representation shows them."""

    source: str | None = field(default=None, repr=False)
    target: str | None = field(default=None, repr=False)
    broker: str | None = field(default=None, repr=False)

    @property
    def settings(self) -> dict[str, str]:
        """Setting names without prefix, with their values."""
        return {ADDRESS_SETTINGS[name]: value for name, value in self._given()}

    @property
    def typed(self) -> dict[str, str]:
        """Setting names without prefix, with the flags that were typed for them."""
        return {ADDRESS_SETTINGS[name]: f"--{name}" for name, _ in self._given()}

    @property
    def public(self) -> RunFlags:
        """The flags as they can be typed again; those with a user name or a password are named."""
        from dataworks_tasks.ledger.run_flags import RunFlags

        parsed = {name: _Address.parse(value) for name, value in self._given()}
        secret = tuple(name for name, address in parsed.items() if address.is_secret)
        shown = {name: str(address) for name, address in parsed.items() if name not in secret}
        return RunFlags(**shown, secret=secret)

    def _given(self) -> Iterator[tuple[str, str]]:
        for name in ADDRESS_SETTINGS:
            if value := getattr(self, name):
                yield name, value


NO_FLAGS = ConnectionFlags()


def read_flags(source: str | None, target: str | None, broker: str | None) -> ConnectionFlags:
    """Read the flags; ask for each missing password on a terminal."""
    given = {"source": source, "target": target, "broker": broker}
    return ConnectionFlags(**{name: value and _read(name, value) for name, value in given.items()})


def _read(name: str, text: str) -> str:
    address = _Address.parse(text)
    setting = f"FRAMEWORK_{ADDRESS_SETTINGS[name]}"
    if address.has_password:
        warning = (
            f"warning: --{name} holds a password, and every user of this machine can read it in "
            f"the process list. Leave it out to be asked for it, or set {setting}"
        )
        click.echo(broken(warning, sys.stderr), err=True)
    if not address.lacks_password:
        return text
    if not sys.stdin.isatty():
        raise UsageError(
            f"--{name} names a user but no password, and there is no terminal to ask on",
            f"Set {setting} in the environment instead",
        )
    password = click.prompt(f"Password for {address}", hide_input=True, err=True)
    return address.with_password(password)


def connection_options(function: F) -> F:
    """Add ``--source``, ``--target`` and ``--broker``; passed as one ConnectionFlags."""

    @click.option("--source", metavar="URI", help="Connection string of the source.")
    @click.option("--target", metavar="URI", help="Connection string of the target.")
    @click.option("--broker", metavar="URL", help="Redis of the messages and the ledger.")
    @wraps(function)
    def wrapped(
        *args: Any, source: str | None, target: str | None, broker: str | None, **values: Any
    ) -> Any:
        given = read_flags(source, target, broker)
        return function(*args, connection_flags=given, **values)

    return wrapped  # type: ignore[return-value]
