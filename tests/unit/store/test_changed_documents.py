"""What prevents a look at the changes of a collection, and what only delays it."""

from __future__ import annotations

import pytest
from bson.timestamp import Timestamp
from pymongo.errors import AutoReconnect, NetworkTimeout, OperationFailure, PyMongoError

from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store import changed_documents as module
from dataworks_tasks.store.mongodb import MongoDBAtlasClient

ORDERS = Namespace("shop", "orders")


def _asked(monkeypatch: pytest.MonkeyPatch, error: PyMongoError) -> module.ChangedDocuments:
    def refused(*_arguments: object) -> int:
        raise error

    monkeypatch.setattr(module, "now_at", lambda _client: Timestamp(9, 1))
    monkeypatch.setattr(module, "_count", refused)
    client = MongoDBAtlasClient(DatabaseConfig(connection_string="mongodb://localhost:1"))
    return module.changed_documents(client, ORDERS, Timestamp(1, 1), 30)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperationFailure("resume point is gone", 286), "does not reach back"),
        (OperationFailure("not authorized on shop", 13), "lacks a right"),
        (
            OperationFailure(
                "not authorized on shop to execute command { find: {\n lsid: 1 } }", 13
            ),
            "lacks a right: not authorized on shop to execute the command find",
        ),
        (OperationFailure("only supported on replica sets", 40573), "replica sets"),
        (OperationFailure("operation exceeded time limit", 50), "too long"),
        (NetworkTimeout("timed out"), "too long"),
    ],
)
def test_what_prevents_a_look_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, error: PyMongoError, reason: str
) -> None:
    found = _asked(monkeypatch, error)
    assert found.count is None
    assert reason in found.reason


def test_what_passes_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (AutoReconnect("closed"), OperationFailure("stepped down", 189)):
        with pytest.raises(StoreUnavailable):
            _asked(monkeypatch, error)
