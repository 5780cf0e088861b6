"""Create a collection with a shard key and throughput, in the words of the server's dialect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.errors import TerminalError, UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.capabilities import CollectionCommand
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.retrying import retry_while_throttled

_THROUGHPUT = re.compile(r"(autoscale:)?(\d+)", re.IGNORECASE)
_LARGEST_WITHOUT_SHARD_KEY = 10_000
"""RU/s of one physical partition (docs/cosmos-facts.md section 3)."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Request units per second: fixed, or the most that autoscale goes up to."""

    request_units: int
    autoscale: bool = False

    @classmethod
    def parse(cls, text: str) -> Throughput:
        """Read ``4000`` or ``autoscale:40000``. Raises UsageError for anything else."""
        found = _THROUGHPUT.fullmatch(text.strip())
        if found is None or int(found[2]) == 0:
            raise UsageError(
                f"{text!r} is not a throughput",
                "Give RU/s such as --throughput 4000, or --throughput autoscale:40000",
            )
        return cls(int(found[2]), autoscale=found[1] is not None)

    def fields(self) -> dict[str, Any]:
        """Return it in the form of Cosmos DB's extension commands."""
        if self.autoscale:
            return {"autoScaleSettings": {"maxThroughput": self.request_units}}
        return {"offerThroughput": self.request_units}


@dataclass(frozen=True, slots=True)
class CollectionLayout:
    """The properties of a new collection; empty: the server's defaults."""

    shard_key: str | None = None
    throughput: Throughput | None = None

    def __bool__(self) -> bool:
        return self.shard_key is not None or self.throughput is not None


def check_layout(client: BaseDatabaseClient, layout: CollectionLayout) -> None:
    """Raise UsageError if the server does not support the layout, after it was reached."""
    command = client.capabilities.collection_command
    if layout.shard_key is not None and command is CollectionCommand.NONE:
        raise UsageError(
            "the target is not sharded, so a collection cannot have a shard key",
            "Leave --shard-key out",
        )
    if layout.throughput is None:
        return
    if command is not CollectionCommand.CUSTOM_ACTION:
        raise UsageError(
            "only Cosmos DB accounts with request units have a throughput",
            "Leave --throughput out",
        )
    too_much = layout.throughput.request_units > _LARGEST_WITHOUT_SHARD_KEY
    if too_much and layout.shard_key is None:
        raise UsageError(
            f"a collection without a shard key has at most {_LARGEST_WITHOUT_SHARD_KEY:,} RU/s",
            "Add --shard-key FIELD",
        )


def create_collection(
    client: BaseDatabaseClient, namespace: Namespace, layout: CollectionLayout
) -> bool:
    """Create the collection with ``layout`` unless it exists; return whether it was created.

    An existing one keeps its shard key and gets the throughput. Raises UsageError if the server
    does not support it, or the collection is sharded by another key.
    """
    check_layout(client, layout)
    there = is_there(client, namespace)
    if there:
        _check_shard_key(client, namespace, layout)
    command = client.capabilities.collection_command
    if command is CollectionCommand.CUSTOM_ACTION:
        _custom_action(client, namespace, layout, there)
    elif command is CollectionCommand.SHARD_COLLECTION and layout.shard_key and not there:
        _shard(client, namespace, layout.shard_key)
    client.forget_shard_key(namespace)
    return not there


def _custom_action(
    client: BaseDatabaseClient, namespace: Namespace, layout: CollectionLayout, there: bool
) -> None:
    throughput = layout.throughput.fields() if layout.throughput else {}
    if there and not throughput:
        return
    shard_key = {"shardKey": layout.shard_key} if layout.shard_key and not there else {}
    action = "UpdateCollection" if there else "CreateCollection"
    command = {"customAction": action, "collection": namespace.collection}
    _run(client, namespace, namespace.database, {**command, **shard_key, **throughput})


def _shard(client: BaseDatabaseClient, namespace: Namespace, shard_key: str) -> None:
    command = {"shardCollection": str(namespace), "key": {shard_key: "hashed"}}
    _run(client, namespace, "admin", command)


def _run(
    client: BaseDatabaseClient, namespace: Namespace, database: str, command: Mapping[str, Any]
) -> None:
    try:
        retry_while_throttled(lambda: client.command(database, command))
    except TerminalError as error:
        raise UsageError(
            f"{namespace} cannot be created with {next(iter(command))}: {error.fact}",
            "Create the collection yourself, then run again without --shard-key and --throughput",
        ) from None


def is_there(client: BaseDatabaseClient, namespace: Namespace) -> bool:
    """Return whether the collection exists, with documents or without."""
    command = {"listCollections": 1, "filter": {"name": namespace.collection}, "nameOnly": True}
    reply = retry_while_throttled(lambda: client.command(namespace.database, command))
    return bool(reply["cursor"]["firstBatch"])


def _check_shard_key(
    client: BaseDatabaseClient, namespace: Namespace, layout: CollectionLayout
) -> None:
    present = client.shard_key(namespace)
    if layout.shard_key is None or present == layout.shard_key:
        return
    raise UsageError(
        f"{namespace} already exists with "
        + (f"the shard key {present}" if present else "no shard key"),
        "A shard key cannot be changed: add --drop, or choose another collection",
    )
