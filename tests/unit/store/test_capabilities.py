"""Dialects as data: what hello makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.errors import ConfigurationError

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.settings.database import DatabaseType
from dataworks_tasks.store.capabilities import (
    DIALECTS,
    CollectionCommand,
    type_by_hello,
)
from dataworks_tasks.store.driver_errors import classify
from dataworks_tasks.store.wire_versions import server_version

COSMOS = DIALECTS[DatabaseType.COSMOS_DB]
RU_HELLO = {
    "setName": "globaldb",
    "maxBsonObjectSize": 16_777_216,
    "maxMessageSizeBytes": 4_194_304,
    "maxWriteBatchSize": 1000,
}


@pytest.mark.parametrize(
    ("hello", "expected"),
    [
        (RU_HELLO, DatabaseType.COSMOS_DB),
        ({"internal": {"documentdb_versions": ["1"]}}, DatabaseType.AZURE_DOCUMENTDB),
        ({"internal": {"cosmos_versions": ["1"]}}, DatabaseType.AZURE_DOCUMENTDB),
        ({"setName": "rs0"}, None),
        ({"msg": "isdbgrid"}, None),
    ],
)
def test_the_hello_shows_the_dialect(hello: dict[str, Any], expected: DatabaseType | None) -> None:
    assert type_by_hello(hello) is expected


def test_an_account_reports_its_limits() -> None:
    found = COSMOS.reported(RU_HELLO)
    assert found.max_documents_per_write == 1000
    assert found.max_bytes_per_write == 4_194_304 - 16_384
    assert found.max_document_json_bytes == 2 * 1024 * 1024
    assert not found.server_sessions


def test_an_account_with_large_documents_is_known_by_its_messages_or_said_to_be_one() -> None:
    hello = {**RU_HELLO, "maxMessageSizeBytes": 48_000_000}
    found = COSMOS.reported(hello)
    assert found.max_document_json_bytes == 16_777_216
    assert found.max_bytes_per_write == 16_777_216
    assert COSMOS.reported(hello, large_documents=False).max_document_json_bytes == 2_097_152
    assert COSMOS.reported(RU_HELLO, large_documents=True).max_document_json_bytes == 16_777_216
    plain = DIALECTS[DatabaseType.MONGODB]
    assert plain.reported(hello, large_documents=True).max_document_json_bytes is None


def test_a_server_never_raises_what_the_dialect_allows_at_once() -> None:
    plain = DIALECTS[DatabaseType.MONGODB]
    hello = {"maxWriteBatchSize": 100_000, "maxMessageSizeBytes": 48_000_000}
    assert plain.reported(hello).max_documents_per_write == plain.max_documents_per_write
    assert plain.reported({"maxWriteBatchSize": 50}).max_documents_per_write == 50


def test_a_mongos_shards_collections() -> None:
    found = DIALECTS[DatabaseType.MONGODB].reported({"msg": "isdbgrid"})
    assert found.collection_command is CollectionCommand.SHARD_COLLECTION
    assert found.shard_key_in_filters


def test_reads_are_kept_to_a_majority_where_there_is_one() -> None:
    plain = DIALECTS[DatabaseType.MONGODB]
    assert plain.reported({"setName": "rs0"}).majority_reads
    assert plain.reported({"msg": "isdbgrid"}).majority_reads
    assert not plain.reported({}).majority_reads
    assert not COSMOS.reported(RU_HELLO).majority_reads


@pytest.mark.parametrize(
    ("wire", "version"),
    [
        (3, "older than 3.6"),
        (6, "3.6"),
        (7, "4.0"),
        (8, "4.2"),
        (9, "4.4"),
        (13, "5.0"),
        (21, "7.0"),
    ],
)
def test_a_wire_version_means_a_server_version(wire: int, version: str) -> None:
    assert server_version(wire) == version


def test_a_server_too_old_for_the_driver_is_named_with_the_extra() -> None:
    text = (
        "Server at shop:10255 reports wire version 6, but this version of PyMongo requires at "
        "least 9 (MongoDB 4.4)."
    )
    error = classify(ConfigurationError(text))
    assert isinstance(error, SettingsError)
    assert "MongoDB 3.6 (wire version 6)" in error.fact
    assert "4.4 (wire version 9)" in error.fact
    assert "pip install 'dataworks[cosmos-legacy]'" in error.remedy
