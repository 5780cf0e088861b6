"""Windows that wait for tokens: changes are read meanwhile, and what was reconciled stays so."""

from __future__ import annotations

from typing import Any

import bson

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.store.write_budget import RateLimiter, Reservation
from dataworks_tasks.store.write_outcome import WriteOutcome
from dataworks_tasks.sync.follow_place import PLACE, FollowPlace
from dataworks_tasks.sync.target_keys import TargetCollection, TargetKeys
from tests.fleet import Fleet, wait_until
from tests.integration.sync.test_follow import check_equal, cut_over, fill, start


def events(fleet: Fleet, run: str) -> int:
    kept = fleet.ledger.key_windows.place(run, PLACE)
    return FollowPlace.from_bytes(kept).events if kept else 0


def test_one_process_reads_changes_while_its_windows_wait_for_tokens(live_fleet: Fleet) -> None:
    """A window of 800 keys takes 160 seconds, and there is one process for everything."""
    fleet = live_fleet
    fleet.start_worker(1)
    fill(fleet, "orders", count=800)
    run = start(fleet, "--batch-size", 1000)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    fleet.run("rate", run, "--max-rate", 5)
    orders = fleet.mongo[fleet.database].orders
    orders.update_many({}, {"$set": {"turn": 1}})

    def keys() -> int:
        return fleet.ledger.progress(run).counters.get("keys", 0)

    wait_until(keys, "keys are reconciled, and counted before their window ends")
    orders.update_many({}, {"$set": {"turn": 2}})
    wait_until(lambda: events(fleet, run) >= 1600, "changes are read while it waits")
    assert keys() < 800
    fleet.run("rate", run, "--max-rate", "none")
    cut_over(fleet, run, "--verify", "full")
    check_equal(fleet, "orders")
    assert fleet.ledger.progress(run).failures == 0


class _Tokens(RateLimiter):
    """Tokens for a few writes of five documents each."""

    def __init__(self, writes: int) -> None:
        self.writes = writes

    def max_documents(self, bytes_per_document: float) -> int | None:
        return 5

    def reserve(
        self, documents: int, size_bytes: int, until: float | None = None
    ) -> Reservation | None:
        self.writes -= 1
        return Reservation(documents, 0.0) if self.writes >= 0 else None

    def record(self, reservation: Reservation, outcome: WriteOutcome) -> None:
        """Ignore the server's answers."""


class _Held:
    """A claim that lasts."""

    seconds_left = 30.0

    def check(self) -> None:
        """Return: it lasts."""


def keys_of(fleet: Fleet, tokens: _Tokens) -> Any:
    config = DatabaseConfig.model_validate(
        {"connection_string": fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]}
    )
    client = create_database_client(config)
    client.server_info()
    where = TargetCollection(client, Namespace(fleet.database, "orders"), "majority", tokens)
    return TargetKeys(where, _Held(), None, lambda: tokens.writes < 0)  # type: ignore[arg-type]


def documents(*numbers: int) -> list[tuple[bytes, bytes]]:
    encoded = [bson.encode({"_id": n, "new": True}) for n in numbers]
    return [(document[4:13], document) for document in encoded]


def test_keys_are_left_when_no_tokens_are_there(live_fleet: Fleet) -> None:
    """Deletes come first; after the first key that is left, all others are left, too."""
    fill(live_fleet, "orders", count=30)
    target = keys_of(live_fleet, _Tokens(3))
    gone = [key for key, _ in documents(*range(20, 27))]
    target.write(documents(*range(8)), gone)
    target.write(documents(8), [])
    target.close()
    assert target.left == {key for key, _ in documents(5, 6, 7, 8)}
    assert (target.deleted, target.replaced, target.problems) == (7, 5, {})
    orders = live_fleet.mongo[live_fleet.database].orders
    assert [each["_id"] for each in orders.find({"new": True}).sort("_id")] == [*range(5)]
    assert orders.count_documents({"_id": {"$gte": 20}}) == 3


def test_values_that_change_places_are_left_together(live_fleet: Fleet) -> None:
    """Without tokens for the second write, neither document is a failure."""
    orders = live_fleet.mongo[live_fleet.database].orders
    orders.create_index("n", unique=True)
    orders.insert_many([{"_id": n, "n": n} for n in range(2)])
    swapped = [bson.encode({"_id": n, "n": 1 - n}) for n in range(2)]
    target = keys_of(live_fleet, _Tokens(1))
    target.write([(document[4:13], document) for document in swapped], [])
    target.close()
    assert target.left == {document[4:13] for document in swapped}
    assert target.problems == {}
    assert orders.count_documents({}) == 2
