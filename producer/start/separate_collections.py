"""Make sure that a migration does not write to a collection that it reads.

Host names do not show whether two connections reach one server: it may have an alias, be behind a
proxy or a tunnel, or be simulated. So collections are compared by their UUIDs. If a server has
none, a marker document is written to the target and looked for at the source.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.errors import DataWorksError, SettingsError, TerminalError, UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection
from dataworks_tasks.store.collection_guard import server_process
from dataworks_tasks.store.hello import ask_hello
from dataworks_tasks.store.retrying import retry_transient

log = logging.getLogger(__name__)

_MARKER = "dataworks_marker_"
_FEW_TRIES = Backoff(tries=3)


class _Suspect(NamedTuple):
    """A target collection that may be a source: by its UUID, or only by its name."""

    target: Namespace
    source: Namespace
    same_uuid: bool


def with_source_uuids(
    source: BaseDatabaseClient, pairs: Sequence[NamespacePair]
) -> tuple[NamespacePair, ...]:
    """Add the current UUIDs of the pairs' source collections."""
    return tuple(
        pair.model_copy(update={"source_uuid": _uuid(source, pair.source)}) for pair in pairs
    )


def with_target_uuids(
    target: BaseDatabaseClient, pairs: Sequence[NamespacePair]
) -> tuple[NamespacePair, ...]:
    """Add the current UUIDs of the pairs' target collections."""
    return tuple(
        pair.model_copy(update={"target_uuid": _uuid(target, pair.target)}) for pair in pairs
    )


def _uuid(client: BaseDatabaseClient, namespace: Namespace) -> str | None:
    found = read_collection(client, namespace)
    return None if found is None else found.uuid


def check_separate(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    pairs: Sequence[NamespacePair],
    *,
    different_servers: bool = False,
    may_write: bool = True,
) -> bool:
    """Raise UsageError when a target collection is a source collection, or a view.

    ``pairs`` have their sources' UUIDs. ``different_servers``: the user says that source and target
    are two servers; that decides only if nothing else does. Without ``may_write`` no marker is
    written; returns False if it would have been needed.
    """
    suspects = list(_suspects(target, pairs))
    if not suspects:
        return True
    one_server = _is_one_process(source, target)
    if one_server:
        raise _same(suspects[0])
    if not different_servers:
        for suspect in suspects:
            if suspect.same_uuid:
                raise _same_uuid(suspect)
    if not may_write:
        return different_servers
    for database in sorted({suspect.target.database for suspect in suspects}):
        suspect = next(found for found in suspects if found.target.database == database)
        seen = _marker_is_seen(source, target, database)
        if seen:
            raise _same(suspect)
        if seen is None and not different_servers:
            raise _not_known(suspect)
    return True


def check_still_separate(
    now: Sequence[NamespacePair], before: Sequence[NamespacePair], target_setting: str
) -> None:
    """Raise UsageError when a target collection has become a source since the run began.

    ``target_setting`` is the flag or the setting by which a person named the target.
    """
    sources = {pair.source_uuid for pair in now if pair.source_uuid is not None}
    for pair, recorded in zip(now, before, strict=True):
        if pair.target_uuid in sources and pair.target_uuid != recorded.target_uuid:
            raise UsageError(
                f"{pair.target} at the target is a source collection of the run",
                f"Set {target_setting} to the server that the run writes to",
            )


def _suspects(target: BaseDatabaseClient, pairs: Sequence[NamespacePair]) -> Iterator[_Suspect]:
    by_uuid = {pair.source_uuid: pair.source for pair in pairs if pair.source_uuid is not None}
    unnamed = {pair.source for pair in pairs if pair.source_uuid is None}
    sources: Mapping[Namespace, str | None] = {pair.source: pair.source_uuid for pair in pairs}
    for pair in pairs:
        found = read_collection(target, pair.target)
        if found is None:
            continue  # every source exists, so a missing collection is not a source
        if found.is_view:
            raise UsageError(
                f"{pair.target} is a view at the target, and documents cannot be written to it",
                "Give the collection another name with --to or --map",
            )
        if found.uuid is not None and found.uuid in by_uuid:
            yield _Suspect(pair.target, by_uuid[found.uuid], same_uuid=True)
        elif pair.target in (sources if found.uuid is None else unnamed):
            yield _Suspect(pair.target, pair.target, same_uuid=False)


def _is_one_process(source: BaseDatabaseClient, target: BaseDatabaseClient) -> bool:
    if source.config.fingerprint == target.config.fingerprint:
        return True
    process = server_process(source)
    return process is not None and process == server_process(target)


def _marker_is_seen(
    source: BaseDatabaseClient, target: BaseDatabaseClient, database: str
) -> bool | None:
    """Return whether the source has a document that is written to the target; None if unknown."""
    namespace = Namespace(database, _MARKER + secrets.token_hex(8))
    marker = {"_id": namespace.collection}
    if not _reads_the_latest(source):
        return None
    insert = {
        "insert": namespace.collection,
        "documents": [marker],
        "writeConcern": {"w": "majority", "wtimeout": 10_000},
    }
    try:
        reply = retry_transient(lambda: target.command(database, insert), _FEW_TRIES)
        if reply.get("writeErrors") or reply.get("writeConcernError"):
            return None
        return bool(source.find_all(namespace, marker))
    except (TerminalError, SettingsError) as error:
        log.info("a marker was not written to the target, or not looked for: %s", error.fact)
        return None
    finally:
        _remove(target, namespace)


def _reads_the_latest(source: BaseDatabaseClient) -> bool:
    """Return False for a connection to one secondary node: the marker may arrive there later."""
    hello = ask_hello(partial(source.command, "admin"))
    return bool(hello.get("isWritablePrimary", hello.get("ismaster", False)))


def _remove(target: BaseDatabaseClient, namespace: Namespace) -> None:
    try:
        target.drop(namespace)
    except DataWorksError as error:
        log.warning("the empty collection %s remains at the target: %s", namespace, error.fact)


def _same(suspect: _Suspect) -> UsageError:
    fact = (
        f"{suspect.source} would be copied onto itself: source and target are the same server"
        if suspect.source == suspect.target
        else f"{suspect.target} at the target is the source collection {suspect.source}: "
        "source and target are the same server"
    )
    return UsageError(fact, _another_name(suspect))


def _same_uuid(suspect: _Suspect) -> UsageError:
    return UsageError(
        f"{suspect.target} at the target and {suspect.source} at the source have the same UUID, so "
        "they are the same collection",
        f"{_another_name(suspect)}. If the target was restored from a snapshot of the source's "
        "files, which keeps UUIDs, add --different-servers",
    )


def _not_known(suspect: _Suspect) -> UsageError:
    return UsageError(
        f"it is not known whether {suspect.target} at the target is the source's: the servers "
        "give no UUIDs, and no marker document can be written to the target and read at the source",
        f"{_another_name(suspect)}, or add --different-servers if you know that they are different "
        "servers",
    )


def _another_name(suspect: _Suspect) -> str:
    database = suspect.target.database
    return (
        "Give it another name with --to or --map, for example "
        f"--map '{database}.*={database}_copy.*'"
    )
