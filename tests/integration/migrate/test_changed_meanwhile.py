"""Documents of the source that change while they are copied, without changing their number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import MongoClient, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.bounded_reads import now_at
from dataworks_tasks.store.changed_documents import changed_documents
from dataworks_tasks.store.create_client import create_database_client
from tests.fleet import Fleet
from tests.support.halted_work import HaltedWork

COUNT = 200
Documents = Collection[dict[str, Any]]


def _replace(orders: Documents) -> None:
    orders.replace_one({"_id": 0}, {"of": "a replacement"})


def _exchange(orders: Documents) -> None:
    orders.delete_many({"_id": {"$lt": 3}})
    orders.insert_many({"_id": -n} for n in range(1, 4))


def _merge(orders: Documents) -> None:
    """As a job does that refreshes a view: the server's counter of commands leaves it out."""
    fresh = orders.database["fresh"]
    fresh.insert_many({"_id": n, "of": "a merge"} for n in range(5))
    fresh.aggregate([{"$merge": {"into": orders.name}}])


def _rename_and_back(orders: Documents) -> None:
    database, name = orders.database, orders.name
    orders.rename("elsewhere")
    database["elsewhere"].update_one({"_id": 0}, {"$set": {"of": "elsewhere"}})
    database["elsewhere"].rename(name)


def _try_in_vain(orders: Documents) -> None:
    orders.bulk_write([UpdateOne({"_id": -1}, {"$set": {"of": "nothing"}})])


CHANGES: dict[str, tuple[Callable[[Documents], None], str]] = {
    "replaced": (_replace, "1 document changed"),
    "exchanged": (_exchange, "6 documents changed"),
    "merged": (_merge, "5 documents changed"),
    "renamed": (_rename_and_back, "changed while the run copied"),
    "tried": (_try_in_vain, ""),
    "untouched": (lambda _: None, ""),
}


@pytest.fixture
def source(replica_set_url: str, fleet: Fleet) -> Iterator[MongoClient[dict[str, Any]]]:
    """Yield a replica set that the fleet copies from."""
    fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"] = replica_set_url
    with MongoClient[dict[str, Any]](replica_set_url) as client:
        yield client
        client.drop_database(fleet.database)


def _measure(series: Documents) -> None:
    """Add a measurement to the bucket of the series that is there already."""
    if series.name not in series.database.list_collection_names():
        series.database.create_collection(series.name, timeseries={"timeField": "at"})
    series.insert_one({"at": datetime(2026, 1, 1, tzinfo=UTC), "v": 1})


def _fill(orders: Documents) -> None:
    orders.insert_many({"_id": n, "of": orders.name} for n in range(COUNT))


def _ended(fleet: Fleet) -> tuple[int, dict[str, str]]:
    """Return the exit code, and what the run says of each collection of its source."""
    producer = fleet.producers[-1]
    output, _ = producer.communicate(timeout=60)
    status = fleet.run("status", fleet.newest_run(), "--json", check=False)
    notes = [note for note in json.loads(status.stdout)["notes"] if note["topic"] == "source"]
    assert all(note["attention"] for note in notes if note["collection"]), output
    return producer.returncode, {note["collection"]: note["text"] for note in notes}


def _in_transaction(session: ClientSession, orders: Documents) -> None:
    """Change a document where nobody sees it until the transaction is committed."""
    session.start_transaction()
    orders.update_one({"_id": 0}, {"$set": {"of": "committed later"}}, session=session)


@pytest.mark.situation(
    3,
    "documents change, or as many are added as deleted, while a replica set is copied",
    before="`complete`, exit 0",
    now="`complete`, a note with how many documents changed, exit 4",
)
@pytest.mark.situation(
    3,
    "measurements are added to buckets of a time series while it is copied",
    before="`complete`, exit 0: the number of buckets is the same",
    now="`complete`, a note with how many write commands the server counted, exit 4",
)
def test_each_change_of_a_replica_set_is_counted(
    fleet: Fleet, source: MongoClient[dict[str, Any]]
) -> None:
    database = source[fleet.database]
    for name in (*CHANGES, "committed"):
        _fill(database[name])
    _measure(database["series"])
    work = HaltedWork(fleet, passage=5)
    where = (
        "--include",
        f"{fleet.database}.*",
        "--map",
        f"{fleet.database}.*={fleet.database}_copy.*",
    )
    with source.start_session() as session:
        _in_transaction(session, database["committed"])
        fleet.start("migrate", *where, "--batch-size", "100")
        work.wait()
        for name, (change, _) in CHANGES.items():
            change(database[name])
        _measure(database["series"])
        session.commit_transaction()
    work.release()
    code, notes = _ended(fleet)
    copied = fleet.mongo[f"{fleet.database}_copy"]
    found = {name: list(copied[name].find(sort=[("_id", 1)])) for name in CHANGES}
    fleet.mongo.drop_database(copied.name)
    assert code == 4, notes
    wanted = {name: said for name, (_, said) in CHANGES.items() if said}
    wanted["committed"] = "1 document changed"
    wanted["system.buckets.series"] = "counted 1 write command"
    assert notes.keys() == {f"{fleet.database}.{name}" for name in wanted}
    for name, said in wanted.items():
        assert said in notes[f"{fleet.database}.{name}"]
        assert "dataworks verify" in notes[f"{fleet.database}.{name}"]
    for name in ("tried", "untouched"):
        assert found[name] == list(database[name].find(sort=[("_id", 1)]))


@pytest.mark.situation(
    3,
    "documents change, or as many are added as deleted, while a server alone is copied",
    before="`complete`, exit 0",
    now="`complete`, a note with how many write commands the server counted, exit 4",
)
def test_a_server_alone_counts_write_commands(fleet: Fleet) -> None:
    database = fleet.mongo[fleet.database]
    for name in ("replaced", "exchanged", "untouched"):
        _fill(database[name])
    work = HaltedWork(fleet)
    where = [flag for name in database.list_collection_names() for flag in _copied(fleet, name)]
    names = ("--map", f"{fleet.database}.*={fleet.database}_copy.*")
    fleet.start("migrate", *where, *names, "--batch-size", "100")
    work.wait()
    _replace(database["replaced"])
    _exchange(database["exchanged"])
    work.release()
    code, notes = _ended(fleet)
    fleet.mongo.drop_database(f"{fleet.database}_copy")
    assert code == 4
    assert notes.keys() == {f"{fleet.database}.replaced", f"{fleet.database}.exchanged", ""}
    assert "counted 1 write command" in notes[f"{fleet.database}.replaced"]
    assert "counted 2 write commands" in notes[f"{fleet.database}.exchanged"]
    assert "only a MongoDB replica set can report them" in notes[""]


def _copied(fleet: Fleet, name: str) -> tuple[str, str]:
    return ("--include", f"{fleet.database}.{name}")


def test_a_history_that_does_not_answer_says_why(
    fleet: Fleet, source: MongoClient[dict[str, Any]], replica_set_url: str
) -> None:
    _fill(source[fleet.database]["orders"])
    orders = Namespace(fleet.database, "orders")
    with create_database_client(DatabaseConfig(connection_string=replica_set_url)) as client:
        client.server_info()
        now = now_at(client)
        assert now is not None
        assert changed_documents(client, orders, now, 30).count == 0
        too_long = changed_documents(client, orders, now, 0.000_001)
        buckets = Namespace(fleet.database, "system.buckets.orders")
        internal = changed_documents(client, buckets, now, 30)
    assert (too_long.count, internal.count) == (None, None)
    assert "too long" in too_long.reason
    assert internal.reason == "a time series has no change stream"
