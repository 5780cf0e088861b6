"""Time series do not keep an _id unique: runs into them report duplicates, or are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dataworks_tasks.failpoints import VARIABLE
from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, pool_children

SERIES = {"timeField": "at", "metaField": "sensorId"}
TOTAL = 10_000


def independent_count(fleet: Fleet, collection: str) -> tuple[int, int]:
    """Documents, and different ``_id``s."""
    counted = fleet.mongo[fleet.database][collection].aggregate(
        [
            {"$group": {"_id": "$_id", "times": {"$sum": 1}}},
            {"$group": {"_id": None, "documents": {"$sum": "$times"}, "ids": {"$sum": 1}}},
        ]
    )
    found = next(iter(counted), {"documents": 0, "ids": 0})
    return found["documents"], found["ids"]


def arguments(fleet: Fleet, *more: object) -> tuple[object, ...]:
    return (
        *("generate", "sensors", "--database", fleet.database, "--total", TOTAL, "--seed", 7),
        *more,
    )


@pytest.mark.situation(
    7,
    "generation into a time series",
    before="206,666 documents of 200,000 after kills, `complete`, exit 0",
    now="refused before anything is written, exit 2",
)
def test_a_time_series_is_refused_before_anything_is_written(fleet: Fleet) -> None:
    fleet.mongo[fleet.database].create_collection("readings", timeseries=SERIES)
    for more in ((), ("--drop",)):
        done = fleet.run(*arguments(fleet, *more), check=False)
        assert done.returncode == 2
        assert "is a time series, which does not keep an _id unique" in done.stdout + done.stderr
    assert fleet.ledger.run_ids() == []
    assert independent_count(fleet, "readings") == (0, 0)


@pytest.mark.situation(
    7,
    "the same with `--allow-duplicates`, workers are killed",
    before="`complete`, exit 0",
    now="a note with both counts, exit 4; the verification is `different`, exit 1",
)
def test_what_a_redone_range_left_twice_is_counted_and_said(fleet: Fleet, tmp_path: Path) -> None:
    fleet.mongo[fleet.database].create_collection("readings", timeseries=SERIES)
    killed = {VARIABLE: f"acknowledge.before=kill@2:{tmp_path}"}
    worker = fleet.start_worker(2, fleet.environment | killed)
    limits = ("--max-rate", 5_000, "--batch-size", 1_000, "--allow-duplicates")
    producer = fleet.start(*arguments(fleet, "--json", *limits))
    run_id = fleet.newest_run()
    for share in (0.3, 0.6):
        fleet.wait_for_share(run_id, share)
        next(pool_children(worker)).kill()
    output, _ = producer.communicate(timeout=90)
    documents, ids = independent_count(fleet, "readings")
    assert ids == TOTAL, "nothing is missing"
    note = next(note for note in fleet.ledger.progress(run_id).notes if note.topic == "duplicates")
    assert note.text.startswith(f"{documents:,} documents")
    assert documents > ids, "a range was written, not acknowledged, and written again"
    assert f"{documents - ids:,} are duplicates" in note.text
    assert note.attention
    (held,) = fleet.run_json("report", run_id)["collections"]
    assert held["target"]["documents"] == documents, "measurements, and not the server's buckets"
    assert producer.returncode == 4, output
    verified = fleet.run("verify", run_id, "--json", check=False)
    assert verified.returncode == 1, "documents that are there twice are differences"
    assert f'"failures": {documents - ids}' in verified.stdout, "each is on record once"


def test_a_time_series_that_is_copied_has_every_measurement_once(fleet: Fleet) -> None:
    """Its buckets have an _id that is unique."""
    database = fleet.mongo[fleet.database]
    database.create_collection("readings", timeseries=SERIES)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    measured: list[dict[str, Any]] = [
        {"_id": n, "at": began + timedelta(seconds=n), "sensorId": n % 200, "value": n}
        for n in range(TOTAL)
    ]
    database["readings"].insert_many(measured)
    worker = fleet.start_worker(2)
    producer = fleet.start(
        *("migrate", "--include", f"{fleet.database}.readings"),
        *("--to", f"{fleet.database}.copy", "--max-rate", 100, "--batch-size", 20),
    )
    run_id = fleet.newest_run()
    for share in (0.2, 0.5):
        fleet.wait_for_share(run_id, share)
        next(pool_children(worker)).kill()
    producer.communicate(timeout=90)
    assert fleet.ledger.state(run_id) is RunState.COMPLETE
    assert independent_count(fleet, "copy") == (TOTAL, TOTAL)
    (held,) = fleet.run_json("report", run_id)["collections"]
    for side, name in (("source", "readings"), ("target", "copy")):
        assert held[side]["name"] == f"{fleet.database}.{name}", "as people know it"
        assert held[side]["documents"] == TOTAL, "measurements, and not the server's buckets"
