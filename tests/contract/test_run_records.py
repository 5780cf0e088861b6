"""Names of runs, their state alone, and what databases held at the end, on any Redis."""

from __future__ import annotations

import pytest

from dataworks_tasks.errors import UnknownName
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.final_collection import FinalCollection, HeldCollection
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from tests.contract.contract_support import generation_spec


def test_a_name_belongs_to_one_run(ledger: RedisLedger) -> None:
    first, second = generation_spec(10), generation_spec(10)
    assert ledger.named_run("nightly") is None
    assert ledger.name_run("nightly", first.run_id, 60) == first.run_id
    assert ledger.named_run("nightly") == first.run_id, "about to be on record"
    assert ledger.name_run("nightly", second.run_id, 60) == first.run_id
    assert ledger.name_run("nightly", second.run_id, 0) == second.run_id, "it never came"
    ledger.create(second, 10)
    assert ledger.name_run("nightly", first.run_id, 0) == second.run_id, "it is on record"
    ledger.forget(second.run_id)
    assert ledger.named_run("nightly") is None


def test_what_databases_held_at_the_end_is_kept(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    assert ledger.final_collections(spec.run_id) == ()
    held = HeldCollection("shop.people", 3, 100, 2)
    orders = FinalCollection(HeldCollection("shop.orders", 5, None, 1), held)
    kept = (orders, FinalCollection(held))
    ledger.record_final_collections(spec.run_id, kept)
    assert ledger.final_collections(spec.run_id) == kept
    ledger.record_final_collections(spec.run_id, kept[1:])
    assert ledger.final_collections(spec.run_id) == kept, "each replaces only its own"
    with pytest.raises(UnknownName):
        ledger.record_final_collections("no-such-run", kept)
    assert ledger.final_collections("no-such-run") == ()


def test_what_thousands_of_collections_held_is_kept_in_one_step(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    kept = tuple(
        FinalCollection(HeldCollection(f"shop.c{number:05}", number, None, 1))
        for number in range(5000)
    )
    ledger.record_final_collections(spec.run_id, kept)
    assert ledger.final_collections(spec.run_id) == kept


def test_a_state_is_read_alone(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    with pytest.raises(UnknownName, match=spec.run_id):
        ledger.state(spec.run_id)
    ledger.create(spec, 10)
    assert ledger.state(spec.run_id) is RunState.RUNNING
    ledger.change_state(spec.run_id, frozenset({RunState.RUNNING}), RunState.PAUSED)
    assert ledger.state(spec.run_id) is RunState.PAUSED
