"""Addresses of Redis: which are accepted, and how a ``sentinel://`` address is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from dataworks_tasks.settings.address_syntax import check_syntax

SENTINEL_SCHEME = "sentinel://"
_SENTINEL_PORT = 26379
_CLUSTER = (
    "Redis Cluster cannot be used: Celery has no transport for it; "
    "name one server (redis://), or Sentinels (sentinel://)"
)
_FORM = "sentinel://USER:PASSWORD@HOST:26379,HOST:26379/0?master=NAME"
_SENTINELS = re.compile(
    r"sentinel://(?P<authority>[^/?]*)(?:/(?P<database>[^/?]*)/?)?(?:\?(?P<query>.*))?"
)
"""Not ``urlsplit``: some versions of it refuse a host in brackets after another one."""
_OPTIONS = {"master", "sentinel_auth"}


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """Sentinels, and the primary that they watch. Every reconnect asks them where it is now."""

    sentinels: tuple[tuple[str, int], ...]
    master: str
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_auth: bool = False
    """The Sentinels ask for the same user and password as the servers."""

    @property
    def credentials(self) -> dict[str, Any]:
        """User and password, as redis-py names them; empty without."""
        named = {"username": self.username, "password": self.password}
        return {name: value for name, value in named.items() if value}

    @property
    def sentinel_credentials(self) -> dict[str, Any]:
        """User and password for the Sentinels; empty without."""
        return self.credentials if self.sentinel_auth else {}

    @property
    def broker_url(self) -> str:
        """The form that kombu reads: one address for each Sentinel."""
        user = quote(self.username or "", safe="")
        password = quote(self.password or "", safe="")
        login = f"{user}:{password}@" if self.credentials else ""
        return ";".join(
            f"{SENTINEL_SCHEME}{login}{host}:{port}/{self.database}"
            for host, port in self.sentinels
        )


def read_sentinel_address(url: str) -> SentinelAddress:
    """Read ``sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?master=NAME``.

    Raises ValueError, without the address in its text, for anything else.
    """
    parts = _SENTINELS.fullmatch(url)
    if parts is None:
        raise ValueError(f"it must have the form {_FORM}")
    login, _, hosts = parts["authority"].rpartition("@")
    username, _, password = login.partition(":")
    options = {name: values[-1] for name, values in parse_qs(parts["query"] or "").items()}
    if unknown := options.keys() - _OPTIONS:
        raise ValueError(f"{sorted(unknown)[0]!r} is not an option of {_FORM}")
    try:
        sentinels = tuple(_host_and_port(host) for host in hosts.split(","))
        return SentinelAddress(
            sentinels=sentinels,
            master=options["master"],
            database=int(parts["database"] or 0),
            username=unquote(username) or None,
            password=unquote(password) or None,
            sentinel_auth=options.get("sentinel_auth") == "true",
        )
    except (KeyError, ValueError):
        raise ValueError(f"it must have the form {_FORM}") from None


def check_address(url: str, *, carries_messages: bool) -> None:
    """Raise ValueError for an address that cannot be used, without the address in its text."""
    scheme = url.partition("://")[0]
    if "cluster" in scheme:
        raise ValueError(_CLUSTER)
    if scheme == "sentinel":
        if not _reads_in_one_way(url):
            raise ValueError(f"it must have the form {_FORM}; percent-encode user and password")
        read_sentinel_address(url)
    elif scheme == "sentinels":
        raise ValueError("TLS is not supported through Sentinels; name one server with rediss://")
    elif scheme == "unix" and carries_messages:
        raise ValueError("a broker is reached over TCP: redis://, rediss:// or sentinel://")
    elif scheme not in {"redis", "rediss", "unix"}:
        raise ValueError(
            "it must begin with redis://, rediss:// or sentinel://, as in redis://HOST:6379/0"
        )
    else:
        check_syntax(url)


def _reads_in_one_way(url: str) -> bool:
    try:
        check_syntax(url)
    except ValueError:
        return False
    return True


def _host_and_port(text: str) -> tuple[str, int]:
    found = urlsplit(f"//{text}")
    if not found.hostname:
        raise ValueError("no host")
    host = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
    return host, found.port or _SENTINEL_PORT
