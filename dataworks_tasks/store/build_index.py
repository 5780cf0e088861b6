"""Build indexes without a time limit and report progress."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from threading import Lock, Thread
from typing import Any, NamedTuple

from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.runs.index_build import IndexBuild
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.build_progress import BuildProgress
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classified
from dataworks_tasks.store.metadata import list_indexes

_LOOK_SECONDS = 0.5
_OF_ONE_NODE = "local"
"""The database that is not replicated: its builds have no nodes to wait for."""
_lock = Lock()


class _Asked(NamedTuple):
    """A build that this process has requested: a second turn of the finishing phase joins it."""

    built: Future[float | None]
    progress: BuildProgress


_builds: dict[tuple[str, Namespace, tuple[str, ...]], _Asked] = {}


class BuildOutcome(NamedTuple):
    """Whether the indexes exist now.

    ``seconds``: how long the server took; None if the build had begun before this process requested
    it.
    """

    complete: bool
    seconds: float | None = None


def build_indexes(
    client: BaseDatabaseClient,
    namespace: Namespace,
    indexes: Sequence[Mapping[str, Any]],
    lease: FinishLease,
    ordinal: tuple[int, int] = (1, 1),
) -> BuildOutcome:
    """Build ``indexes``, given in the form of ``createIndexes``, unless ``lease`` ends first.

    The server continues without the client. Another request, from this or another process, joins
    the build in progress. ``ordinal``: which of how many builds this is, for people. Raises the
    errors of ``driver_errors.classify``.
    """
    names = tuple(str(index["name"]) for index in indexes)
    build_id = (client.config.fingerprint, namespace, names)
    with _lock:
        asked = _builds.get(build_id)
        if asked is None:
            asked = _builds[build_id] = _Asked(Future(), BuildProgress(len(names)))
            build = (client, namespace, indexes, asked.built)
            # A daemon thread: a worker that is asked to leave does not wait for an index.
            Thread(target=_build, args=build, name="build-index", daemon=True).start()
    what = IndexBuild(", ".join(names), str(namespace), *ordinal)
    lease.show(lambda: str(_with_progress(what, asked.progress, client, namespace)))
    while not asked.built.done():
        if lease.reached:
            return BuildOutcome(complete=False)
        _wait(asked.built)
    with _lock:
        _builds.pop(build_id, None)
    return BuildOutcome(complete=True, seconds=asked.built.result())


def _wait(built: Future[float | None]) -> None:
    try:
        built.exception(_LOOK_SECONDS)
    except TimeoutError:
        return


def _build(
    client: BaseDatabaseClient,
    namespace: Namespace,
    indexes: Sequence[Mapping[str, Any]],
    built: Future[float | None],
) -> None:
    try:
        is_new = not _some_are_listed(client, namespace, indexes)
        began = time.monotonic()
        _create(client, namespace, indexes)
        built.set_result(time.monotonic() - began if is_new else None)
    except BaseException as error:  # noqa: BLE001 - who waits for the build raises it
        built.set_exception(error)


def _some_are_listed(
    client: BaseDatabaseClient, namespace: Namespace, indexes: Sequence[Mapping[str, Any]]
) -> bool:
    """Return whether the server has some of the indexes, or is building them; True if unknown.

    Only the time left depends on it.
    """
    try:
        listed = {index["name"] for index in list_indexes(client, namespace)}
    except DataWorksError:
        return True  # the user may build them, and may not list them
    return any(index["name"] in listed for index in indexes)


def _create(
    client: BaseDatabaseClient, namespace: Namespace, indexes: Sequence[Mapping[str, Any]]
) -> None:
    """Ask for the indexes, and wait. The server skips those that exist."""
    command: dict[str, Any] = {
        "createIndexes": namespace.collection,
        "indexes": [dict(index) for index in indexes],
    }
    if client.capabilities.commit_quorum and namespace.database != _OF_ONE_NODE:
        # By default a build waits for every voting node: for ever, if one is gone.
        command["commitQuorum"] = "majority"
    with classified():
        # The key in a refusal may be a date beyond year 9999.
        client.without_timeout[namespace.database].command(command, codec_options=TOLERANT)


def _with_progress(
    build: IndexBuild, seen: BuildProgress, client: BaseDatabaseClient, namespace: Namespace
) -> IndexBuild:
    """Return the build with its progress, if the user may ask for it."""
    wanted = {
        "currentOp": 1,
        "command.createIndexes": namespace.collection,
        "command.$db": namespace.database,
    }
    try:
        operations = client.command("admin", wanted).get("inprog", ())
    except DataWorksError:
        return build
    for operation in operations:
        seen.note(operation)
    return replace(build, percent=int(100 * seen.share)) if seen.share else build
