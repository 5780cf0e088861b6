"""The dials: cut cursors, dropped connections, errors before and after a write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CursorNotFound,
    ExecutionTimeout,
    OperationFailure,
)

from producer.cosmos_simulator import CosmosSimulator, FaultDials

Client = MongoClient[dict[str, Any]]
Connect = Callable[[CosmosSimulator], Client]


def test_a_cut_cursor_is_gone(
    start_simulator: Any, connect: Connect, mongo_client: Client, database_name: str
) -> None:
    mongo_client[database_name]["c"].insert_many([{"_id": number} for number in range(100)])
    client = connect(start_simulator(faults=FaultDials(cursor_cut_share=1)))
    cursor = client[database_name]["c"].find(batch_size=10)
    seen = [next(cursor)["_id"] for _ in range(10)]
    cursor_id = cursor.cursor_id
    with pytest.raises(CursorNotFound):
        next(cursor)
    assert seen == list(range(10))
    with pytest.raises(CursorNotFound):
        mongo_client[database_name].command("getMore", cursor_id, collection="c")


@pytest.mark.parametrize(("dial", "written"), [("drop_before_share", 0), ("drop_after_share", 1)])
def test_dropped_connections(
    start_simulator: Any,
    connect: Connect,
    mongo_client: Client,
    database_name: str,
    dial: str,
    written: int,
) -> None:
    client = connect(start_simulator(faults=FaultDials(**{dial: 1})))
    with pytest.raises(AutoReconnect):
        client[database_name]["c"].insert_one({"_id": 1})
    assert mongo_client[database_name]["c"].count_documents({}) == written


def test_a_write_that_timed_out_is_there(
    start_simulator: Any, connect: Connect, mongo_client: Client, database_name: str
) -> None:
    client = connect(start_simulator(faults=FaultDials(timeout_after_write_share=1)))
    with pytest.raises(ExecutionTimeout) as caught:
        client[database_name]["c"].insert_one({"_id": 1})
    assert caught.value.code == 50
    assert mongo_client[database_name]["c"].count_documents({}) == 1
    assert client[database_name]["c"].find_one() == {"_id": 1}


def test_an_unavailable_service_did_nothing(
    start_simulator: Any, connect: Connect, mongo_client: Client, database_name: str
) -> None:
    client = connect(start_simulator(faults=FaultDials(unavailable_share=1)))
    with pytest.raises(OperationFailure) as caught:
        client[database_name]["c"].insert_one({"_id": 1})
    assert caught.value.code == 1
    assert mongo_client[database_name]["c"].count_documents({}) == 0


def test_latency_holds_the_answer_back(
    start_simulator: Any, connect: Connect, database_name: str
) -> None:
    client = connect(start_simulator(faults=FaultDials(latency_ms=80)))
    client.admin.command("ping")
    started = time.monotonic()
    client[database_name]["c"].insert_one({"_id": 1})
    assert time.monotonic() - started >= 0.08


def test_an_account_takes_its_time_for_each_document(
    start_simulator: Any, connect: Connect, database_name: str
) -> None:
    client = connect(start_simulator(faults=FaultDials(statement_us=2000)))
    client.admin.command("ping")
    started = time.monotonic()
    client[database_name]["c"].insert_many([{"_id": number} for number in range(50)])
    assert time.monotonic() - started >= 0.1


def test_faults_happen_about_as_often_as_asked_and_the_same_way_again(
    start_simulator: Any, connect: Connect, database_name: str
) -> None:
    def outcomes() -> list[bool]:
        client = connect(start_simulator(faults=FaultDials(unavailable_share=0.2, seed=7)))
        happened = []
        for _ in range(200):
            try:
                client[database_name]["c"].count_documents({})
                happened.append(False)
            except OperationFailure:
                happened.append(True)
        return happened

    first = outcomes()
    assert 20 <= sum(first) <= 60
    assert outcomes() == first


def test_dials_are_set_while_it_runs(
    start_simulator: Any, connect: Connect, database_name: str
) -> None:
    client = connect(start_simulator())
    orders = client[database_name]["orders"]
    orders.insert_one({"_id": 0})
    client.admin.command({"cosmosSimulatorDials": {"document_throttle_share": 0.5}})
    with pytest.raises(BulkWriteError) as refused:
        orders.insert_many([{"_id": number} for number in range(1, 200)], ordered=False)
    details: Any = refused.value.details
    assert {problem["code"] for problem in details["writeErrors"]} == {16500}
    assert 50 < details["nInserted"] == orders.count_documents({}) - 1 < 150
    client.admin.command({"cosmosSimulatorDials": {"document_throttle_share": 0.0}})
    orders.insert_many([{"_id": number} for number in range(200, 400)])
    for wrong in ({"document_throttle_share": 2.0}, {"unknown": 1}):
        with pytest.raises(OperationFailure):
            client.admin.command({"cosmosSimulatorDials": wrong})
