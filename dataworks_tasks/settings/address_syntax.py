"""Refuse addresses that can be read in more than one way.

An address with a password that is not percent-encoded is ambiguous: ``redis://:s3cr/t@host/0`` is a
host ``:s3cr`` with a database ``t@host/0`` to one parser and a password to another, and parsers
quote what they take for a host or a port in their errors. So addresses are checked before any other
code reads them, and no message here quotes any part.
"""

from __future__ import annotations

import re

PERCENT_ENCODE = (
    "it cannot be read; percent-encode user and password, for example / is %2F, @ is %40, "
    ": is %3A, ? is %3F, # is %23 and % is %25"
)
ENCODE_COMMAND = (
    "Encode the password with: "
    "python -c 'import sys,urllib.parse as u; print(u.quote(input(), safe=\"\"))'"
)
_LOGIN = r"(?:(?:[^\s/?#@\[\]%]|%[0-9A-Fa-f]{2})*@)?"
_MONGODB_LOGIN = r"(?:{0}(?::{0})?@)?".format(r"(?:[^\s/?#@\[\]%:]|%[0-9A-Fa-f]{2})*")
_HOST = r"(?:[A-Za-z0-9._%-]+|\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9._-]+)?\])(?::[0-9]{1,5})?"
_QUERY = r"(?:\?(?P<query>[^\s#?]*))?"

_REDIS = re.compile(rf"(?:redis|rediss)://{_LOGIN}(?:{_HOST})?(?:/[0-9]*)?{_QUERY}")
_UNIX = re.compile(rf"unix://{_LOGIN}/[^\s?#@]*{_QUERY}")
_SENTINEL = re.compile(rf"sentinel://{_LOGIN}(?:{_HOST})(?:,(?:{_HOST}))*(?:/[0-9]*/?)?{_QUERY}")
_MONGODB = re.compile(
    rf"mongodb://{_MONGODB_LOGIN}(?:{_HOST})(?:,(?:{_HOST}))*(?:/[^\s/?#@:]*)?{_QUERY}"
)
_SRV = re.compile(rf"mongodb\+srv://{_MONGODB_LOGIN}[A-Za-z0-9._-]+(?:/[^\s/?#@:]*)?{_QUERY}")
_OPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*=[^@]*|appName=@[A-Za-z0-9.-]*@", re.IGNORECASE)
_LARGEST_PORT = 65535


def check_syntax(address: str) -> None:
    """Raise ValueError unless the address is unambiguous."""
    scheme = address.partition("://")[0]
    form = {
        "redis": _REDIS,
        "rediss": _REDIS,
        "unix": _UNIX,
        "sentinel": _SENTINEL,
        "mongodb": _MONGODB,
        "mongodb+srv": _SRV,
    }[scheme]
    found = form.fullmatch(address)
    if found is None or not all(_is_option(part) for part in _options(found["query"])):
        raise ValueError(PERCENT_ENCODE)
    ports = re.findall(r":([0-9]+)(?=[,/?]|$)", _hosts(address))
    if any(not 0 < int(port) <= _LARGEST_PORT for port in ports):
        raise ValueError(f"the port is not a number from 1 to {_LARGEST_PORT}")


def _options(query: str | None) -> list[str]:
    return [part for part in re.split("[&;]", query or "") if part]


def _is_option(part: str) -> bool:
    return _OPTION.fullmatch(part) is not None


def _hosts(address: str) -> str:
    """Return the text between the login and the first slash or question mark."""
    rest = address.partition("://")[2].partition("?")[0]
    return re.split("[/?]", rest.rpartition("@")[2])[0]
