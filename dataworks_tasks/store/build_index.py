"""Build indexes without a time limit and report progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from threading import Lock, Thread
from typing import Any

from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.runs.index_build import IndexBuild
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classified

_LOOK_SECONDS = 0.5
_OF_ONE_NODE = "local"
"""The database that is not replicated: its builds have no nodes to wait for."""
_builds: dict[tuple[str, Namespace, tuple[str, ...]], Future[None]] = {}
"""Builds that this process has asked for: a second turn of the finish joins the first one's."""
_lock = Lock()


def build_indexes(
    client: BaseDatabaseClient,
    namespace: Namespace,
    indexes: Sequence[Mapping[str, Any]],
    lease: FinishLease,
    ordinal: tuple[int, int] = (1, 1),
) -> bool:
    """Build ``indexes``, given as ``createIndexes`` has them; False when ``lease`` is over before.

    The server continues without the client that asked. Asking again, from here or from another
    process, joins the build in progress. ``ordinal``: which of how many builds this is, for people.
    Raises the errors of ``driver_errors.classify``.
    """
    names = tuple(str(index["name"]) for index in indexes)
    build_id = (client.config.fingerprint, namespace, names)
    with _lock:
        built = _builds.get(build_id)
        if built is None:
            built = _builds[build_id] = Future()
            build = (client, namespace, indexes, built)
            # A daemon thread: a worker that is asked to leave does not wait for an index.
            Thread(target=_build, args=build, name="build-index", daemon=True).start()
    what = IndexBuild(", ".join(names), str(namespace), *ordinal)
    lease.show(lambda: str(_with_progress(what, client, namespace)))
    while not built.done():
        if lease.reached:
            return False
        _wait(built)
    with _lock:
        _builds.pop(build_id, None)
    built.result()
    return True


def _wait(built: Future[None]) -> None:
    try:
        built.exception(_LOOK_SECONDS)
    except TimeoutError:
        return


def _build(
    client: BaseDatabaseClient,
    namespace: Namespace,
    indexes: Sequence[Mapping[str, Any]],
    built: Future[None],
) -> None:
    try:
        _create(client, namespace, indexes)
        built.set_result(None)
    except BaseException as error:  # noqa: BLE001 - who waits for the build raises it
        built.set_exception(error)


def _create(
    client: BaseDatabaseClient, namespace: Namespace, indexes: Sequence[Mapping[str, Any]]
) -> None:
    """Ask for the indexes, and wait. The server skips those that exist."""
    command: dict[str, Any] = {
        "createIndexes": namespace.collection,
        "indexes": [dict(index) for index in indexes],
    }
    if client.capabilities.commit_quorum and namespace.database != _OF_ONE_NODE:
        # By itself a build waits for every node with a vote: for ever, when one is gone.
        command["commitQuorum"] = "majority"
    with classified():
        # The key in a refusal may be a date beyond year 9999.
        client.without_timeout[namespace.database].command(command, codec_options=TOLERANT)


def _with_progress(
    build: IndexBuild, client: BaseDatabaseClient, namespace: Namespace
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
        progress = operation.get("progress") or {}
        if progress.get("total"):
            phase = str(operation.get("msg", "")).partition(": ")[2].rpartition(":")[0]
            percent = 100 * progress["done"] // progress["total"]
            return replace(build, phase=phase, percent=percent)
    return build
