"""Whether a connection's user may do what a run does, by what the server reports about the user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dataworks_tasks.errors import TerminalError
from dataworks_tasks.store.client import BaseDatabaseClient

_ANY = "\0"
"""A database that no privilege names."""
READING = frozenset({"find", "listCollections", "listIndexes"})
"""What a source's user needs: the actions of the role ``read``."""

WRITING = frozenset({"find", "insert", "update", "createCollection", "createIndex"})
"""What a target's user needs: actions of the role ``readWrite``."""


def missing_rights(
    client: BaseDatabaseClient, database: str, collection: str, wanted: frozenset[str]
) -> frozenset[str] | None:
    """Return the actions of ``wanted`` that the user lacks; None if the server does not say.

    A server says nothing when access control is off, or when it does not know the command.
    """
    privileges = _privileges(client)
    return (
        None if privileges is None else wanted - allowed_actions(privileges, database, collection)
    )


def _privileges(client: BaseDatabaseClient) -> list[dict[str, Any]] | None:
    try:
        status = client.command("admin", {"connectionStatus": 1, "showPrivileges": True})
    except TerminalError:
        return None
    info = status.get("authInfo", {})
    if not info.get("authenticatedUsers"):
        return None
    found: list[dict[str, Any]] | None = info.get("authenticatedUserPrivileges")
    return found


def databases_with(client: BaseDatabaseClient, wanted: frozenset[str]) -> frozenset[str] | None:
    """Return the databases on which the user may do all of ``wanted``; ``""``: every one.

    None when the server does not say.
    """
    privileges = _privileges(client)
    if privileges is None:
        return None
    named = {privilege.get("resource", {}).get("db", "") for privilege in privileges}
    return frozenset(
        name for name in named if wanted <= allowed_actions(privileges, name or _ANY, "")
    )


def allowed_actions(
    privileges: Iterable[Mapping[str, Any]], database: str, collection: str
) -> frozenset[str]:
    """Return the actions that the privileges allow on the collection; ``""`` means any."""
    actions: set[str] = set()
    for privilege in privileges:
        if _covers(privilege.get("resource", {}), database, collection):
            actions.update(privilege.get("actions", ()))
    return frozenset(actions)


def _covers(resource: Mapping[str, Any], database: str, collection: str) -> bool:
    if resource.get("anyResource"):
        return True
    if "db" not in resource:
        return False
    return resource["db"] in ("", database) and resource.get("collection", "") in ("", collection)
