"""What a template says of its collection: compressor and shard key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from dataworks_tasks.errors import UsageError
from dataworks_tasks.generate.templates.load_template import parse_template
from dataworks_tasks.generate.templates.template import CollectionTemplate
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.capabilities import Capabilities, CollectionCommand
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.start.template_collections import create_as_template_says
from tests.fleet import Fleet

TEMPLATE = {
    "collection": "events",
    "count": 20,
    "compressionLevel": "zlib",
    "shardConfig": {"shardCollection": "x.events", "key": {"_id": "hashed"}},
    "content": {"a": {"type": "int"}},
}


def compressor(fleet: Fleet, collection: str) -> str:
    stats = fleet.mongo[fleet.database].command("collStats", collection)
    creation = str(stats["wiredTiger"]["creationString"])
    return creation.partition("block_compressor=")[2].partition(",")[0]


def test_a_server_that_is_not_sharded_gets_the_compressor_and_a_warning(
    fleet: Fleet, tmp_path: Path
) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps(TEMPLATE))
    fleet.mongo[fleet.database].create_collection("there")
    arguments = ("generate", path, "--database", fleet.database, "--detach")
    done = fleet.run(*arguments)
    assert f"{fleet.database}.events: the target is not sharded" in done.stderr
    assert compressor(fleet, "events") == "zlib"
    fleet.run(*arguments, "--collection", "there")
    assert compressor(fleet, "there") == "snappy"


def test_options_of_the_template_are_those_of_the_collection(fleet: Fleet, tmp_path: Path) -> None:
    validator = {"a": {"$gte": 0}}
    series = {"timeField": "at", "metaField": "a"}
    dated = {"at": {"type": "date"}, "a": {"type": "int"}}
    template = [
        {"collection": "kept", "count": 5, "content": TEMPLATE["content"],
         "options": {"validator": validator, "collation": {"locale": "de"}}},
        {"collection": "series", "count": 5, "content": dated, "options": {"timeseries": series}},
    ]  # fmt: skip
    path = tmp_path / "options.json"
    path.write_text(json.dumps(template))
    arguments = ("generate", path, "--database", fleet.database, "--detach")
    refused = fleet.run(*arguments, check=False)
    assert refused.returncode == 2
    assert "is a time series, which does not keep an _id unique" in refused.stderr
    fleet.run(*arguments, "--allow-duplicates")
    found = {entry["name"]: entry for entry in fleet.mongo[fleet.database].list_collections()}
    assert found["kept"]["options"]["validator"] == validator
    assert found["kept"]["options"]["collation"]["locale"] == "de"
    assert found["series"]["options"]["timeseries"]["timeField"] == "at"


class Recorded(BaseDatabaseClient):
    """A sharded cluster that is not there: the commands it was sent."""

    def __init__(self, command: CollectionCommand) -> None:
        super().__init__(DatabaseConfig(connection_string=SecretStr("mongodb://cluster.example")))
        self._capabilities = Capabilities(collection_command=command)
        self.sent: list[dict[str, Any]] = []

    def command(self, database: str, command: Any) -> dict[str, Any]:
        if "listCollections" not in command:
            self.sent.append({"on": database, **command})
        return {"cursor": {"firstBatch": []}}


def template(**changes: Any) -> CollectionTemplate:
    return parse_template({**TEMPLATE, **changes}, "events").collections[0]


def test_a_sharded_cluster_is_asked_to_shard_it() -> None:
    client = Recorded(CollectionCommand.SHARD_COLLECTION)
    config = {"key": {"b": 1, "a": 1}, "unique": True, "numInitialChunks": 4}
    create_as_template_says(client, template(shardConfig=config), Namespace("shop", "events"))
    engine = {"wiredTiger": {"configString": "block_compressor=zlib"}}
    assert client.sent == [
        {"on": "shop", "create": "events", "storageEngine": engine},
        {"on": "admin", "enableSharding": "shop"},
        {"on": "admin", "shardCollection": "shop.events", **config},
    ]
    assert list(client.sent[2]["key"]) == ["b", "a"]


def test_cosmos_db_gets_its_own_command_and_one_field() -> None:
    client = Recorded(CollectionCommand.CUSTOM_ACTION)
    create_as_template_says(client, template(), Namespace("shop", "events"))
    action = {"customAction": "CreateCollection", "collection": "events", "shardKey": "_id"}
    assert client.sent == [{"on": "shop", **action}]
    compound = template(shardConfig={"key": {"a": 1, "b": 1}})
    with pytest.raises(UsageError, match="one field"):
        create_as_template_says(client, compound, Namespace("shop", "events"))
