"""Request units: what is charged, what is refused, and that both match what is in mongod."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import OperationFailure
from pymongo.write_concern import WriteConcern

from producer.cosmos_simulator import CosmosSimulator, FaultDials

Client = MongoClient[dict[str, Any]]
Connect = Callable[[CosmosSimulator], Client]


def insert(collection: Collection[dict[str, Any]], ids: list[int], **options: Any) -> Any:
    documents = [{"_id": number} for number in ids]
    command = {"insert": collection.name, "ordered": False, "documents": documents, **options}
    return collection.database.command(command)


def refusals(collection: Collection[dict[str, Any]], ids: list[int]) -> list[dict[str, Any]]:
    """Return what was throttled of an insert, one entry per document, in either shape."""
    try:
        errors: list[dict[str, Any]] = insert(collection, ids).get("writeErrors", [])
    except OperationFailure as error:
        text = repr(error.details)
        errors = [{"index": n, "code": error.code, "errmsg": text} for n in range(len(ids))]
    assert all(entry["code"] == 16500 for entry in errors)
    return errors


def ids_in(collection: Collection[dict[str, Any]]) -> set[int]:
    return {document["_id"] for document in collection.find()}


def test_an_unordered_insert_succeeds_in_part(
    start_simulator: Any, connect: Connect, mongo_client: Client, database_name: str
) -> None:
    simulator: CosmosSimulator = start_simulator(ru_per_second=550.0)
    collection = connect(simulator)[database_name]["c"]
    reply = insert(collection, list(range(300)))
    refused = {entry["index"] for entry in reply["writeErrors"]}
    assert {entry["code"] for entry in reply["writeErrors"]} == {16500}
    assert re.search(r"RetryAfterMs=\d+", reply["writeErrors"][0]["errmsg"])
    assert 100 <= reply["n"] < 150
    assert reply["n"] == 300 - len(refused)
    assert ids_in(mongo_client[database_name]["c"]) == set(range(300)) - refused
    statistics = simulator.statistics()
    assert statistics.throttled_requests == 1
    assert statistics.throttled_documents == len(refused)
    assert statistics.total_ru == pytest.approx(5.5 * reply["n"])


def test_an_ordered_insert_stops_at_the_budget(
    start_simulator: Any, connect: Connect, mongo_client: Client, database_name: str
) -> None:
    collection = connect(start_simulator(ru_per_second=550.0))[database_name]["c"]
    reply = insert(collection, list(range(300)), ordered=True)
    assert [entry["index"] for entry in reply["writeErrors"]] == [reply["n"]]
    assert ids_in(mongo_client[database_name]["c"]) == set(range(reply["n"]))


def test_with_nothing_left_the_command_fails(
    start_simulator: Any, connect: Connect, mongo_client: Client, database_name: str
) -> None:
    """RU and time are slow here: the bucket of 6 RU needs most of a second for one document."""
    collection = connect(start_simulator(ru_per_second=6.0))[database_name]["c"]
    insert(collection, [1])
    with pytest.raises(OperationFailure) as caught:
        insert(collection, [2])
    assert caught.value.code == 16500
    assert caught.value.details is not None
    assert caught.value.details["codeName"] == "RequestRateTooLarge"
    delay = re.search(r"Error=16500, RetryAfterMs=(\d+), Details=", str(caught.value))
    assert delay is not None
    assert 500 <= int(delay[1]) <= 1000
    with pytest.raises(OperationFailure, match="16500"):
        collection.find_one()
    assert ids_in(mongo_client[database_name]["c"]) == {1}


def test_waiting_as_asked_uses_the_full_budget_and_no_more(
    start_simulator: Any, connect: Connect, mongo_client: Client, database_name: str
) -> None:
    rate = 4000.0
    simulator: CosmosSimulator = start_simulator(ru_per_second=rate)
    client = connect(simulator)
    deadline = time.monotonic() + 3.2

    def write(first: int) -> None:
        collection = client[database_name]["c"]
        waiting = list(range(first, first + 100_000))
        while time.monotonic() < deadline:
            batch, waiting = waiting[:500], waiting[500:]
            errors = refusals(collection, batch)
            waiting = [batch[entry["index"]] for entry in errors] + waiting
            if errors:
                found = re.search(r"RetryAfterMs=(\d+)", errors[0]["errmsg"])
                assert found is not None
                time.sleep(int(found[1]) / 1000)

    threads = [threading.Thread(target=write, args=(n * 1_000_000,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = simulator.statistics()
    full_seconds = [ru for second, ru in statistics.ru_per_second if 1 <= second < 3]
    # On a machine that is busy the writers come late; the simulator never lets more through.
    assert 0.6 * 2 * rate <= sum(full_seconds) <= 1.15 * 2 * rate
    assert statistics.total_ru <= rate * (statistics.ru_per_second[-1][0] + 2)
    written = mongo_client[database_name]["c"].count_documents({})
    assert statistics.total_ru == pytest.approx(5.5 * written)


def test_last_request_statistics_are_the_connection_s_own(
    start_simulator: Any, mongodb_url: str, database_name: str
) -> None:
    simulator: CosmosSimulator = start_simulator()
    with (
        MongoClient[dict[str, Any]](simulator.url, maxPoolSize=1) as one,
        MongoClient[dict[str, Any]](simulator.url, maxPoolSize=1) as other,
    ):
        database = one[database_name]
        insert(database["c"], [1, 2])
        other[database_name]["c"].find_one()
        reported = database.command("getLastRequestStatistics")
        assert reported["_t"] == "GetRequestStatisticsResponse"
        assert reported["CommandName"] == "insert"
        assert reported["RequestCharge"] == pytest.approx(11)
        assert reported["RequestDurationInMilliSeconds"] >= 0
        database["c"].replace_one({"_id": 1}, {"pad": "x"})
        assert database.command("getLastRequestStatistics")["RequestCharge"] == pytest.approx(11)
        database["c"].update_many({}, {"$set": {"a": 1}})
        assert database.command("getLastRequestStatistics")["RequestCharge"] == pytest.approx(22)
        database["c"].delete_one({"_id": 1})
        reported = database.command("getLastRequestStatistics")
        assert (reported["CommandName"], reported["RequestCharge"]) == (
            "delete",
            pytest.approx(5.5),
        )
        database["c"].find_one()
        reported = database.command("getLastRequestStatistics")
        assert (reported["CommandName"], reported["RequestCharge"]) == ("find", 1)
    assert simulator.statistics().total_ru == pytest.approx(11 + 1 + 11 + 22 + 5.5 + 1)


def test_throttling_by_the_dial_in_every_shape(
    start_simulator: Any, connect: Connect, mongo_client: Client, database_name: str
) -> None:
    dials = FaultDials(throttle_share=0.5, omit_retry_after_share=0.5, legacy_throttle_share=0.5)
    client = connect(start_simulator(faults=dials))
    collection = client[database_name]["c"]
    texts: list[str] = []
    written: set[int] = set()
    for first in range(0, 800, 10):
        batch = list(range(first, first + 10 if first < 400 else first + 1))
        errors = refusals(collection, batch)
        texts += [entry["errmsg"] for entry in errors]
        written |= set(batch) - {batch[entry["index"]] for entry in errors}
    assert ids_in(mongo_client[database_name]["c"]) == written
    assert any("'_t': 'OKMongoResponse'" in text and "$err" in text for text in texts)
    assert any("RetryAfterMs=34" in text for text in texts)
    assert any(text == "Error=16500, Details='Insert error.'" for text in texts)


def test_updates_keep_their_indexes_when_throttled(
    start_simulator: Any, connect: Connect, mongo_client: Client, database_name: str
) -> None:
    collection = connect(start_simulator(ru_per_second=550.0))[database_name]["c"]
    updates = [{"q": {"_id": n}, "u": {"_id": n, "v": n}, "upsert": True} for n in range(100)]
    reply = collection.database.command({"update": "c", "ordered": False, "updates": updates})
    refused = {entry["index"] for entry in reply["writeErrors"]}
    upserted = {entry["index"]: entry["_id"] for entry in reply["upserted"]}
    assert refused
    assert upserted == {n: n for n in range(100) if n not in refused}
    assert ids_in(mongo_client[database_name]["c"]) == set(upserted)


def test_unacknowledged_writes_get_no_answer(
    start_simulator: Any, connect: Connect, database_name: str
) -> None:
    simulator: CosmosSimulator = start_simulator(ru_per_second=550.0)
    client = connect(simulator)
    silent = client[database_name].get_collection("c", write_concern=WriteConcern(w=0))
    silent.insert_many([{"_id": number} for number in range(300)], ordered=False)
    deadline = time.monotonic() + 20
    while simulator.statistics().throttled_documents == 0 and time.monotonic() < deadline:
        client.admin.command("ping")
    assert simulator.statistics().throttled_documents > 100
    while simulator.statistics().total_ru < 500 and time.monotonic() < deadline:
        client.admin.command("ping")
