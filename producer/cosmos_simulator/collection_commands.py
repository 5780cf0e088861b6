"""Commands that create and describe collections: customAction and shardCollection.

Fields and answers: Microsoft's "MongoDB extension commands" (docs/cosmos-facts.md section 4).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from producer.cosmos_simulator.catalog import (
    LARGEST_THROUGHPUT_WITHOUT_SHARD_KEY,
    LOWEST_THROUGHPUT,
    Catalog,
    CollectionSettings,
    ProvisionedThroughput,
)
from producer.cosmos_simulator.index_errors import index_error
from producer.cosmos_simulator.partitioned_ids import create_backing
from producer.cosmos_simulator.responses import error
from producer.cosmos_simulator.upstream import Upstream
from producer.cosmos_simulator.wire import Command

Reply = Mapping[str, Any]
_OK: Reply = {"ok": 1}


async def run_custom_action(command: Command, catalog: Catalog, upstream: Upstream) -> Reply:
    """Answer ``{customAction: ...}``."""
    action = _ACTIONS.get(str(command.body["customAction"]))
    if action is None:
        return error(115, f"Command {command.body['customAction']} not supported.")
    return await action(command, catalog, upstream)


async def shard_collection(command: Command, catalog: Catalog, upstream: Upstream) -> Reply:
    """``shardCollection "db.coll" {key: "hashed"}``; creates the collection if it is missing."""
    namespace = str(command.body["shardCollection"])
    key = dict(command.body["key"].items())
    if len(key) != 1 or next(iter(key.values())) != "hashed":
        return error(2, "The shard key must be one field, hashed")
    path = next(iter(key))
    known = catalog.collection(namespace)
    if known is not None and known.shard_key not in (None, path):
        return error(23, f"{namespace} is sharded by another key already")
    database, _, collection = namespace.partition(".")
    created = await upstream.command(database, {"create": collection})
    if not created["ok"] and created.get("code") != 48:
        return created
    settings = known or CollectionSettings(throughput=ProvisionedThroughput(LOWEST_THROUGHPUT))
    catalog.set_collection(namespace, replace(settings, shard_key=path))
    if catalog.partitioning_key(namespace):
        made = await create_backing(upstream, namespace, path)
        if not made["ok"]:
            return made
    return {"collectionsharded": namespace, "ok": 1}


async def _create_database(command: Command, catalog: Catalog, _: Upstream) -> Reply:
    throughput = ProvisionedThroughput.requested(command.body)
    if throughput is not None:
        catalog.set_database(command.database, throughput)
    return _OK


async def _get_database(command: Command, catalog: Catalog, _: Upstream) -> Reply:
    throughput = catalog.database(command.database)
    return {"database": command.database, **(throughput.document() if throughput else {}), "ok": 1}


async def _create_collection(command: Command, catalog: Catalog, upstream: Upstream) -> Reply:
    name = str(command.body["collection"])
    shard_key = command.body.get("shardKey")
    throughput = ProvisionedThroughput.requested(command.body)
    if throughput is None and catalog.database(command.database) is None:
        throughput = ProvisionedThroughput(LOWEST_THROUGHPUT)
    refused = _throughput_refusal(throughput, shard_key)
    indexes = [dict(index.items()) for index in command.body.get("indexes", [])]
    for index in indexes:
        refused = refused or index_error(index, shard_key, collection_is_empty=True)
    if refused:
        return refused
    created = await upstream.command(command.database, {"create": name})
    if created["ok"] and (extra := [index for index in indexes if index["name"] != "_id_"]):
        created = await upstream.command(
            command.database, {"createIndexes": name, "indexes": extra}
        )
    if not created["ok"]:
        return created
    namespace = f"{command.database}.{name}"
    catalog.set_collection(namespace, CollectionSettings(shard_key, throughput))
    partitioning_key = catalog.partitioning_key(namespace)
    if partitioning_key:
        created = await create_backing(upstream, namespace, partitioning_key)
    return _OK if created["ok"] else created


async def _update_collection(command: Command, catalog: Catalog, upstream: Upstream) -> Reply:
    settings = await _existing(command, catalog, upstream)
    if settings is None:
        return _missing(command)
    throughput = ProvisionedThroughput.requested(command.body) or settings.throughput
    refused = _throughput_refusal(throughput, settings.shard_key)
    if refused:
        return refused
    namespace = f"{command.database}.{command.body['collection']}"
    catalog.set_collection(namespace, replace(settings, throughput=throughput))
    return _OK


async def _get_collection(command: Command, catalog: Catalog, upstream: Upstream) -> Reply:
    settings = await _existing(command, catalog, upstream)
    if settings is None:
        return _missing(command)
    reply: dict[str, Any] = {
        "database": command.database,
        "collection": command.body["collection"],
    }
    if settings.shard_key:
        reply["shardKeyDefinition"] = {settings.shard_key: "hashed"}
    if settings.throughput:
        reply |= settings.throughput.document()
    return {**reply, "ok": 1}


async def _existing(
    command: Command, catalog: Catalog, upstream: Upstream
) -> CollectionSettings | None:
    """Return the settings of a collection that exists in mongod; None otherwise."""
    name = str(command.body["collection"])
    listed = await upstream.command(
        command.database, {"listCollections": 1, "filter": {"name": name}, "nameOnly": True}
    )
    if not listed["ok"] or not listed["cursor"]["firstBatch"]:
        return None
    implicit = CollectionSettings(
        throughput=None
        if catalog.database(command.database)
        else ProvisionedThroughput(LOWEST_THROUGHPUT)
    )
    return catalog.collection(f"{command.database}.{name}") or implicit


def _missing(command: Command) -> Reply:
    return error(26, f"collection {command.database}.{command.body['collection']} does not exist")


def _throughput_refusal(
    throughput: ProvisionedThroughput | None, shard_key: str | None
) -> Reply | None:
    if throughput is None:
        return None
    if throughput.most < LOWEST_THROUGHPUT:
        return error(2, f"The throughput must be at least {LOWEST_THROUGHPUT} RU/s")
    if throughput.most > LARGEST_THROUGHPUT_WITHOUT_SHARD_KEY and not shard_key:
        return error(2, "A throughput over 10000 RU/s needs a shard key")
    return None


_ACTIONS: Mapping[str, Callable[[Command, Catalog, Upstream], Awaitable[Reply]]] = {
    "CreateDatabase": _create_database,
    "UpdateDatabase": _create_database,
    "GetDatabase": _get_database,
    "CreateCollection": _create_collection,
    "UpdateCollection": _update_collection,
    "GetCollection": _get_collection,
}
