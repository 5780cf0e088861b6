"""Metadata that the driver cannot decode or Python cannot compare: it is copied like any other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from dataworks_tasks.documents.raw_bson import TOLERANT
from tests.fleet import Fleet

FAR = DatetimeMS(253_402_300_800_000)  # the first millisecond of year 10000
NAN = float("nan")
LONG_AGO = DatetimeMS(-62_135_596_800_001)  # the last one before year 1
TOLERANT_RAW = TOLERANT.with_options(document_class=RawBSONDocument)


def _as_bytes(database: Database[Any], command: dict[str, Any]) -> list[bytes]:
    return sorted(item.raw for item in database.cursor_command(command, codec_options=TOLERANT_RAW))


def _fill(database: Database[Any]) -> None:
    database.create_collection(
        "events", validator={"at": {"$lt": FAR, "$gt": LONG_AGO}}, validationLevel="moderate"
    )
    database["events"].create_index(
        "at", name="far", partialFilterExpression={"at": {"$lt": FAR, "$gt": LONG_AGO}}
    )
    database["events"].insert_many(
        {"_id": number, "at": datetime(2026, 1, 1, tzinfo=UTC)} for number in range(50)
    )
    database.create_collection(
        "recent", viewOn="events", pipeline=[{"$match": {"at": {"$lt": FAR}}}]
    )


def _fill_with_nan(database: Database[Any]) -> None:
    is_number = {"n": {"$ne": NAN}}
    database.create_collection("events", validator=is_number)
    database["events"].create_index("n", name="none", partialFilterExpression={"n": NAN})
    database["events"].insert_one({"_id": 1, "n": 2})
    database.create_collection("recent", viewOn="events", pipeline=[{"$match": is_number}])


def _arrives_unchanged(fleet: Fleet, fill: Callable[[Database[Any]], None]) -> None:
    """Copy what ``fill`` makes, and check that its metadata is at the target."""
    source = fleet.mongo[f"{fleet.database}_from"]
    try:
        fill(source)
        fleet.start_worker()
        arguments = (
            "--include",
            f"{source.name}.*",
            "--map",
            f"{source.name}.*={fleet.database}.*",
        )
        dry = fleet.run("migrate", *arguments, "--views", "--dry-run")
        assert "events" in dry.stdout
        run = fleet.run_json("migrate", *arguments, "--views", "--verify")
        assert run["state"] == "complete"
        target = fleet.mongo[fleet.database]
        indexes = {"listIndexes": "events"}
        assert _as_bytes(target, indexes) == _as_bytes(source, indexes)
        for name, option in (("events", "validator"), ("recent", "pipeline")):
            wanted = {"listCollections": 1, "filter": {"name": name}}
            options = [
                RawBSONDocument(_as_bytes(database, wanted)[0], TOLERANT_RAW)["options"][option]
                for database in (source, target)
            ]
            assert options[0] == options[1]
    finally:
        fleet.mongo.drop_database(source.name)


@pytest.mark.situation(
    12,
    "a date beyond year 9999 in a partial index, a validator or a view",
    before="`running`, every three seconds the same traceback",
    now="copied like any other",
)
def test_dates_beyond_pythons_in_indexes_validators_and_views_are_copied(fleet: Fleet) -> None:
    _arrives_unchanged(fleet, _fill)


def test_a_nan_in_indexes_validators_and_views_is_copied(fleet: Fleet) -> None:
    _arrives_unchanged(fleet, _fill_with_nan)
