"""Reading raw batches from a real server."""

from __future__ import annotations

import pytest
from bson import encode

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store import raw_batches
from dataworks_tasks.store.create_client import create_database_client


def test_the_driver_hands_over_every_reply(
    mongodb_url: str, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise reading would work, and take twice the time: see ``RawBatches``."""
    config = DatabaseConfig.model_validate({"connection_string": mongodb_url})
    namespace = Namespace(database_name, "numbers")
    documents = [{"_id": number, "x": [{"y": number}] * 3} for number in range(250)]
    replies: list[bytes] = []

    def spy(reply: bytes) -> dict[str, object]:
        replies.append(reply)
        return read(reply)

    read = raw_batches.reply_with_stream
    monkeypatch.setattr(raw_batches, "reply_with_stream", spy)
    with create_database_client(config) as client:
        client.collection(namespace).insert_many(documents)
        found = list(client.find_raw(namespace, {}, sort=[("_id", 1)], batch_size=100))
    assert b"".join(found) == b"".join(map(encode, documents))
    assert len(replies) == len(found) == 3
