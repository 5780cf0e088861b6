"""Verification finds and names what differs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bson import decode, encode

from dataworks_tasks.migrate.base import BaseMigrationStrategy, Document
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.runs.spec import Transform
from tests.integration.migrate.conftest import Migration


class SplitByThree(BaseMigrationStrategy):
    """Drops every third document, makes two of every other third, keeps the rest."""

    name = "test-split"

    def transform_document(self, document: Document) -> Document | list[Document] | None:
        number = document["n"]
        if number % 3 == 0:
            return None
        if number % 3 == 1:
            return [document, {"part of": document["_id"]}]
        return {**document, "kept": True}


@pytest.fixture(autouse=True)
def strategies() -> Iterator[None]:
    MigrationStrategyFactory.register(SplitByThree)
    yield
    MigrationStrategyFactory._known.pop(SplitByThree.name)


def fill(migration: Migration, count: int) -> None:
    migration.insert_raw(
        "source",
        [encode({"_id": n, "n": n, "email": f"p{n}@example.com"}) for n in range(count)],
    )


def test_one_changed_byte_is_found_and_named(migration: Migration) -> None:
    fill(migration, 1000)
    migration.copy()
    target = migration.target.collection(migration.namespace("target"))
    target.update_one({"_id": 517}, {"$set": {"email": "p517@example.con"}})
    counters, failures = migration.verify()
    assert (counters["equal"], counters["different"], counters["missing"]) == (999, 1, 0)
    ((document_id, reason),) = [(failure.document_id, failure.reason) for failure in failures]
    assert document_id == "517"
    assert reason == ('differs at email: source "p517@example.com", target "p517@example.con"')


def test_missing_and_extra_documents_are_named(migration: Migration) -> None:
    fill(migration, 300)
    migration.copy()
    target = migration.target.collection(migration.namespace("target"))
    target.delete_many({"_id": {"$in": [0, 150, 299]}})
    target.insert_many([{"_id": -5}, {"_id": 150.5}, {"_id": "text"}])
    counters, failures = migration.verify()
    found = sorted((failure.reason, failure.document_id) for failure in failures)
    assert found == [
        ("missing at the target", "0"),
        ("missing at the target", "150"),
        ("missing at the target", "299"),
        ("not in the source", '"text"'),
        ("not in the source", "-5"),
        ("not in the source", "150.5"),
    ]
    assert (counters["equal"], counters["missing"], counters["extra"]) == (297, 3, 3)
    counters, failures = migration.verify(exclusive=False)
    assert (counters["extra"], len(failures)) == (0, 3)


def test_a_number_of_another_type_differs(migration: Migration) -> None:
    migration.insert_raw("source", [encode({"_id": 1, "v": 1})])
    migration.insert_raw("target", [encode({"_id": 1, "v": 1.0})])
    _, (failure,) = migration.verify()
    assert failure.reason == "differs at v: source 1, target 1.0"


def test_transformed_and_filtered_documents_are_equal(migration: Migration) -> None:
    fill(migration, 500)
    job = migration.job(
        filter='{"n": {"$gte": 100}}',
        transform=Transform(
            rename=(("n", "number"),), set=(("done", "true"),), mask=(("email", "faker:email"),)
        ),
    )
    counters = migration.copy(job)
    assert counters["documents"] == 400
    first = decode(migration.documents("target")[0])
    assert first["number"] == 100
    assert first["email"] != "p100@example.com"
    compared, failures = migration.verify(job)
    assert (compared["equal"], failures) == (400, [])


def test_a_strategy_that_drops_and_splits_is_verified(migration: Migration) -> None:
    fill(migration, 300)
    job = migration.job(strategy="test-split")
    counters = migration.copy(job)
    assert (counters["read"], counters["dropped"], counters["produced"]) == (300, 100, 300)
    again = migration.copy(job)
    assert (again["already_there"], again["written"]) == (300, 0)
    compared, failures = migration.verify(job)
    assert (compared["equal"], failures) == (300, [])
    target = migration.target.collection(migration.namespace("target"))
    target.delete_one({"part of": 1})
    target.update_one({"_id": 2}, {"$set": {"kept": False}})
    target.insert_many([{"x": 1}, {"x": 2}])
    compared, failures = migration.verify(job)
    assert (compared["equal"], compared["missing"], compared["different"]) == (298, 1, 1)
    assert any("2 documents are not in the source" in failure.reason for failure in failures)


def test_what_a_strategy_raises_is_on_record(migration: Migration) -> None:
    class Raises(BaseMigrationStrategy):
        name = "test-raises"

        def transform_document(self, document: Document) -> Document:
            if document["n"] == 7:
                raise KeyError("price")
            if document["n"] >= 8:
                document["t"] = document.get("t", "").upper()
            return document

    MigrationStrategyFactory.register(Raises)
    fill(migration, 20)
    not_utf8 = encode({"_id": 100, "n": 8, "t": "xyz"}).replace(b"xyz", b"\xff\xff\xff")
    migration.insert_raw("source", [not_utf8])
    migration.spec_changes = {"on_error": "skip"}
    job = migration.job(strategy="test-raises")
    context = migration.context(job)
    from dataworks_tasks.migrate.migration_work import MigrationWork

    counters = migration.work_through(MigrationWork(context), context)
    failures = {f.document_id: f.reason for f in context.ledger.failures(context.spec.run_id)}
    assert counters["written"] == 19
    assert failures.keys() == {"7", "100"}
    assert "KeyError" in failures["7"]
    assert "utf-8" in failures["100"].lower()
    MigrationStrategyFactory._known.pop("test-raises")
