"""Find what is wrong with a connection string of Azure's services, before anything connects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.capabilities import DIALECTS, type_by_host

_COSMOS_PORT = "10255"
_ESCAPES = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_ESCAPED = frozenset("+/@:?#[] ")
_REMEDIES = {
    DatabaseType.COSMOS_DB: (
        "Write it as mongodb://ACCOUNT:KEY@ACCOUNT.mongo.cosmos.azure.com:10255/?ssl=true"
        "&replicaSet=globaldb&retrywrites=false&maxIdleTimeMS=120000&appName=@ACCOUNT@ "
        "with the key percent-encoded (+ is %2B, / is %2F, = is %3D)"
    ),
    DatabaseType.AZURE_DOCUMENTDB: (
        "Write it as mongodb+srv://USER:PASSWORD@CLUSTER.global.mongocluster.cosmos.azure.com/"
        "?tls=true&authMechanism=SCRAM-SHA-256 with the password percent-encoded "
        "(+ is %2B, / is %2F, = is %3D)"
    ),
}


class _Parts(NamedTuple):
    scheme: str
    password: str
    hosts: tuple[tuple[str, str], ...]
    options: dict[str, str]


def check_connection_string(uri: str, type_: DatabaseType) -> None:
    """Raise SettingsError with everything that would keep ``uri`` from working with ``type_``.

    Only Azure's own services are checked; the message quotes no part of the connection string. An
    ``=`` that is not encoded is accepted: the portal writes keys that way and drivers accept it.
    """
    remedy = _REMEDIES.get(type_)
    if remedy is None:
        return
    problems = list(_problems(_split(uri), type_))
    if problems:
        raise SettingsError(f"the connection string {', and '.join(problems)}", remedy)


def with_literal_plus(uri: str) -> str:
    """Return ``uri`` with every + of user and password encoded.

    PyMongo reads it as a space; the specification, mongosh and other drivers read it literally.
    """
    scheme, separator, rest = uri.partition("://")
    place, mark, query = rest.partition("?")
    userinfo, at, hosts = place.rpartition("@")
    return f"{scheme}{separator}{userinfo.replace('+', '%2B')}{at}{hosts}{mark}{query}"


def names_option(uri: str, name: str) -> bool:
    """Return whether the connection string itself sets an option."""
    return name.lower() in _split(uri).options


def _problems(parts: _Parts, type_: DatabaseType) -> Iterator[str]:
    if _NOT_ESCAPED & set(parts.password) or _ESCAPES.search(parts.password):
        yield "has a key or password that is not percent-encoded"
    in_azure = all(type_by_host(host) is type_ for host, _ in parts.hosts)
    options = parts.options
    if not DIALECTS[type_].retryable_writes and options.get("retrywrites", "true") != "false":
        yield "does not have retrywrites=false, and Cosmos DB refuses retryable writes"
    encrypted = "true" in (options.get("ssl"), options.get("tls"))
    if in_azure and not encrypted and parts.scheme == "mongodb":
        yield "does not have ssl=true, and the service accepts only encrypted connections"
    if in_azure and type_ is DatabaseType.COSMOS_DB and parts.scheme == "mongodb":
        ports = {port for _, port in parts.hosts}
        if ports != {_COSMOS_PORT}:
            yield f"does not use port {_COSMOS_PORT}"


def first_host(uri: str) -> str:
    """Return the first host in lower case, even from a string that the driver cannot read."""
    return _split(uri).hosts[0][0]


def _split(uri: str) -> _Parts:
    """Split a URI without decoding it. A key that is not encoded may hold ``/`` and ``@``."""
    scheme, _, rest = uri.partition("://")
    place, _, query = rest.partition("?")
    userinfo, _, hosts = place.rpartition("@")
    hosts = hosts.partition("/")[0].lower()
    password = userinfo.partition(":")[2]
    split = (one.partition(":") for one in hosts.split(","))
    named = tuple((host, port) for host, _, port in split)
    pairs = (option.partition("=") for option in re.split("[&;]", query))
    options = {name.lower(): value.lower() for name, _, value in pairs}
    return _Parts(scheme, password, named, options)
