"""The proxy must not be what is measured: 10,000 documents a second at the very least."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from producer.cosmos_simulator import CosmosSimulator


def test_documents_per_second(
    start_simulator: Any,
    connect: Callable[[CosmosSimulator], MongoClient[dict[str, Any]]],
    database_name: str,
) -> None:
    database = connect(start_simulator())[database_name]
    batches = [
        [
            RawBSONDocument(bson.encode({"_id": bson.ObjectId(), "pad": "x" * 980}))
            for _ in range(1000)
        ]
        for _ in range(20)
    ]
    started = time.monotonic()
    for batch in batches:
        command = {"insert": "c", "ordered": False, "documents": batch}
        assert database.command(command)["n"] == 1000
    assert 20_000 / (time.monotonic() - started) > 10_000
