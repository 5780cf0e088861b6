"""Drop a collection and create it again as it was."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.errors import TerminalError, UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.capabilities import CollectionCommand
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection
from dataworks_tasks.store.create_collection import (
    CollectionLayout,
    Throughput,
    create_collection,
)

log = logging.getLogger(__name__)

_OF_THE_SERVER = frozenset({"uuid", "temp", "autoIndexId"})


@dataclass(frozen=True, slots=True)
class DroppedCollection:
    """The options of a dropped collection and, if the server supports one, its layout."""

    namespace: Namespace
    options: Mapping[str, Any]
    layout: CollectionLayout

    def create(self, target: BaseDatabaseClient) -> None:
        """Create it again, empty. Raises UsageError when the server refuses its former options."""
        if self.layout:
            create_collection(target, self.namespace, self.layout)
        elif self.options:
            command = {"create": self.namespace.collection, **self.options}
            try:
                target.command(self.namespace.database, command)
            except TerminalError as error:
                raise UsageError(
                    f"{self.namespace} was dropped and cannot be created again with its options "
                    f"({', '.join(self.options)}): {error.fact}",
                    "Create it yourself, then run again without --drop",
                ) from None


def describe_collection(
    target: BaseDatabaseClient, namespace: Namespace, *, laid_out: bool
) -> DroppedCollection | None:
    """Return what to create again after a drop; None if there is nothing. Writes nothing.

    ``laid_out``: the run creates the collection with its own layout, so a loss is only logged.
    Otherwise it raises UsageError if something would be lost.
    """
    found = read_collection(target, namespace)
    if found is None:
        return None
    options = _options(found.options) if target.capabilities.collection_stats else {}
    if laid_out:
        if options:
            log.warning(
                "%s had %s: the run creates it again with its own layout, without that",
                namespace,
                ", ".join(options),
            )
        return None
    paths = target.shard_key_paths(namespace)
    if len(paths) > 1 or (paths and options):
        kept = f" and has {', '.join(options)}" if options else ""
        raise UsageError(
            f"{namespace} is sharded by {', '.join(paths)}{kept}: --drop cannot restore that",
            "Add --shard-key FIELD for another layout, or drop and create the collection yourself",
        )
    layout = CollectionLayout(next(iter(paths), None), _throughput(target, namespace))
    return DroppedCollection(namespace, options, layout)


def _options(found: Mapping[str, Any]) -> dict[str, Any]:
    options = {name: value for name, value in found.items() if name not in _OF_THE_SERVER}
    clustered = options.get("clusteredIndex")
    if isinstance(clustered, Mapping):
        options["clusteredIndex"] = {k: v for k, v in clustered.items() if k != "v"}
    return options


def _throughput(target: BaseDatabaseClient, namespace: Namespace) -> Throughput | None:
    if target.capabilities.collection_command is not CollectionCommand.CUSTOM_ACTION:
        return None
    asked = {"customAction": "GetCollection", "collection": namespace.collection}
    try:
        found = target.command(namespace.database, asked)
    except TerminalError:
        return None  # it shares the throughput of its database
    autoscale = found.get("autoScaleSettings", {}).get("maxThroughput")
    if autoscale is not None:
        return Throughput(int(autoscale), autoscale=True)
    provisioned = found.get("provisionedThroughput")
    return None if provisioned is None else Throughput(int(provisioned), autoscale=False)
