"""How a Cosmos DB account describes itself: hello and buildInfo of each server version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from producer.cosmos_simulator.config import TWO_MEGABYTES, SimulatorConfig

MAX_WRITE_BATCH_SIZE = 1000
DOCUMENTDB_MAX_WRITE_BATCH_SIZE = 25_000
MAX_MESSAGE_SIZE_BYTES = 4_194_304
MAX_MESSAGE_SIZE_BYTES_WITH_LARGE_DOCUMENTS = 48_000_000
"""PyMongo refuses an answer longer than maxMessageSizeBytes, so an account with the 16 MB option
cannot report 4 MB. MongoDB's own default; what the service reports is not known."""

MAX_BSON_OBJECT_SIZE = 16_777_216

HELLO_NAMES = frozenset({"hello", "ismaster", "isMaster"})

_FIRST_WIRE_VERSION_WITH_HELLO = 13
"""MongoDB 5.0. An older server does not offer ``helloOk``, so drivers stay with isMaster."""


def documentdb_hello(config: SimulatorConfig) -> dict[str, Any]:
    """Answer hello as an Azure DocumentDB cluster, which drivers take for a router."""
    return {
        "ismaster": True,
        "isWritablePrimary": True,
        "helloOk": True,
        "msg": "isdbgrid",
        "internal": {"documentdb_versions": ["0.108-0"]},
        "maxBsonObjectSize": MAX_BSON_OBJECT_SIZE,
        "maxMessageSizeBytes": MAX_MESSAGE_SIZE_BYTES_WITH_LARGE_DOCUMENTS,
        "maxWriteBatchSize": DOCUMENTDB_MAX_WRITE_BATCH_SIZE,
        "logicalSessionTimeoutMinutes": 30,
        "minWireVersion": 0,
        "maxWireVersion": config.wire_version,
        "localTime": datetime.now(UTC),
        "ok": 1,
    }


def hello_document(
    config: SimulatorConfig, address: str, request: Mapping[str, Any]
) -> dict[str, Any]:
    """Answer hello and isMaster; ``address`` is the simulator's own ``host:port``.

    Left out on purpose: ``logicalSessionTimeoutMinutes`` (no sessions), ``topologyVersion``
    (drivers poll instead of streaming) and ``compression`` (so OP_COMPRESSED never comes).
    """
    document: dict[str, Any] = {
        "_t": "IsMasterResponse",
        "ok": 1,
        "ismaster": True,
        "setName": "globaldb",
        "setVersion": 1,
        "hosts": [address],
        "me": address,
        "primary": address,
        "maxBsonObjectSize": MAX_BSON_OBJECT_SIZE,
        "maxMessageSizeBytes": (
            MAX_MESSAGE_SIZE_BYTES
            if config.max_document_bytes <= TWO_MEGABYTES
            else MAX_MESSAGE_SIZE_BYTES_WITH_LARGE_DOCUMENTS
        ),
        "maxWriteBatchSize": MAX_WRITE_BATCH_SIZE,
        "minWireVersion": 0,
        "maxWireVersion": config.wire_version,
        "localTime": datetime.now(UTC),
    }
    if config.wire_version >= _FIRST_WIRE_VERSION_WITH_HELLO:
        document["isWritablePrimary"] = True
        if request.get("helloOk"):
            document["helloOk"] = True
    return document


def build_info(config: SimulatorConfig) -> dict[str, Any]:
    """Answer buildInfo with the Cosmos DB version, not that of the mongod behind it."""
    major, minor = (int(part) for part in config.server_version.split("."))
    return {
        "version": f"{major}.{minor}.0",
        "versionArray": [major, minor, 0, 0],
        "bits": 64,
        "maxBsonObjectSize": MAX_BSON_OBJECT_SIZE,
        "ok": 1,
    }
