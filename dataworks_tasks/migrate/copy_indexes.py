"""The source's indexes at the target."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import Any

from pymongo.errors import PyMongoError

from dataworks_tasks.errors import DataWorksError, RunFailed, StoreUnavailable, TerminalError
from dataworks_tasks.namespace import Namespace
from dataworks_tasks.retry_policy import classify
from dataworks_tasks.run_spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient

_MADE_BY_THE_SERVER = frozenset({"v", "ns", "background"})
_WAIT_SECONDS = 30.0
"""How long one call waits for an index. A build goes on without the client that asked for it, and
asking again joins the one that is going on."""


def read_indexes(client: BaseDatabaseClient, namespace: Namespace) -> list[dict[str, Any]]:
    """Every index but the one on ``_id``, with all its options, as ``createIndexes`` takes it."""
    try:
        found = [dict(index) for index in client.collection(namespace).list_indexes()]
    except PyMongoError as error:
        raise classify(error) from None
    return [
        {name: value for name, value in index.items() if name not in _MADE_BY_THE_SERVER}
        for index in found
        if dict(index["key"]) != {"_id": 1}
    ]


def copy_indexes(
    source: BaseDatabaseClient, target: BaseDatabaseClient, pair: NamespacePair
) -> tuple[str, ...]:
    """Build the source's indexes at the target; those that are there already stay.

    Returns the names of those that were built. Raises RunFailed naming the index, and the
    offending key where a unique one meets duplicates; StoreUnavailable, with the progress, when a
    build takes long: call again to go on waiting.
    """
    present = {index["name"] for index in read_indexes(target, pair.target)}
    missing = [index for index in read_indexes(source, pair.source) if index["name"] not in present]
    for index in missing:
        _build(target, pair.target, index)
    return tuple(index["name"] for index in missing)


def _build(target: BaseDatabaseClient, namespace: Namespace, index: dict[str, Any]) -> None:
    command = {"createIndexes": namespace.collection, "indexes": [index]}
    built: Future[None] = Future()

    def build() -> None:
        try:
            target.command(namespace.database, command)
            built.set_result(None)
        except DataWorksError as error:
            built.set_exception(error)

    # A daemon thread: a worker that is asked to leave does not wait for an index.
    Thread(target=build, name="build-index", daemon=True).start()
    try:
        built.result(_WAIT_SECONDS)
    except TimeoutError:
        done = _progress(target, namespace)
        raise StoreUnavailable(
            f"the index {index['name']!r} is being built on {namespace}{done}"
        ) from None
    except TerminalError as error:
        raise RunFailed(
            f"the index {index['name']!r} cannot be built on {namespace}: {error.fact}",
            "Mend the documents at the target, or leave indexes out with --indexes none; "
            "then: dataworks resume RUN",
        ) from None


def _progress(target: BaseDatabaseClient, namespace: Namespace) -> str:
    """How far the build is, where the user may ask for it."""
    wanted = {"currentOp": 1, "command.createIndexes": namespace.collection}
    try:
        operations = target.command("admin", wanted).get("inprog", ())
    except DataWorksError:
        return ""
    for operation in operations:
        progress = operation.get("progress") or {}
        if progress.get("total"):
            return f": {100 * progress['done'] / progress['total']:.0f} %"
    return ""
