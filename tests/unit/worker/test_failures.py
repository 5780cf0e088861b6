"""How many failures a run may have, and how it ends."""

from __future__ import annotations

from typing import Any

import fakeredis
import pytest

from dataworks_tasks.errors import RunFailed
from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunSpec, VerificationJob
from dataworks_tasks.worker import failures
from dataworks_tasks.worker.failures import check_failures, listed, state_at_end
from tests.contract.contract_support import generation_spec


def verification(**more: Any) -> RunSpec:
    of = generation_spec(10)
    job = VerificationJob(run_id=of.run_id, of=of.job, exclusive=True)
    return generation_spec(10).model_copy(update={"job": job, **more})


@pytest.fixture
def ledger() -> RedisLedger:
    return RedisLedger(fakeredis.FakeRedis())


def recorded(ledger: RedisLedger, spec: RunSpec, count: int, **counters: int) -> RedisLedger:
    ledger.create(spec, 10, "", [])
    result = RangeResult(counters, named(count))
    ledger.acknowledge(spec.run_id, BatchRange(0, 10), result)
    return ledger


def named(count: int) -> tuple[DocumentFailure, ...]:
    return tuple(DocumentFailure(f"{n}", f"{n}", "shop.orders", "why") for n in range(count))


def test_a_run_stops_when_more_fail_than_allowed(ledger: RedisLedger) -> None:
    spec = generation_spec(10).model_copy(update={"max_failures": 3})
    check_failures(recorded(ledger, spec, 3), spec)
    ledger.record_failures(spec.run_id, [DocumentFailure("x", "x", "shop.orders", "why")])
    with pytest.raises(RunFailed) as caught:
        check_failures(ledger, spec)
    assert caught.value.fact == "4 documents could not be written, more than the 3 allowed"
    assert caught.value.remedy == f"See dataworks failures {spec.run_id}"


def test_a_verification_counts_differences_that_are_not_listed(ledger: RedisLedger) -> None:
    spec = verification(max_failures=1000)
    recorded(ledger, spec, 2, missing=700, different=301)
    with pytest.raises(RunFailed, match="1,001 documents differ, more than the 1,000 allowed"):
        check_failures(ledger, spec)


def test_only_so_many_differences_are_listed(
    ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "LISTED_DIFFERENCES", 5)
    spec = verification()
    recorded(ledger, spec, 3)
    result = RangeResult({"missing": 4}, named(4))
    assert len(listed(ledger, spec, result).failures) == 2
    assert listed(ledger, spec, result).counters == {"missing": 4}
    ledger.record_failures(spec.run_id, named(9))
    assert listed(ledger, spec, result).failures == ()
    empty = RangeResult({})
    assert listed(ledger, spec, empty) is empty


def test_failures_of_other_runs_are_all_listed(
    ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "LISTED_DIFFERENCES", 1)
    spec = generation_spec(10)
    recorded(ledger, spec, 3)
    result = RangeResult({}, named(4))
    assert listed(ledger, spec, result) is result
    assert failures.LISTED_DIFFERENCES == 1


def test_a_list_is_long_enough_for_people_and_short_enough_for_redis() -> None:
    assert failures.LISTED_DIFFERENCES == 200_000


@pytest.mark.parametrize(
    ("topic", "attention", "state"),
    [
        (NoteTopic.INDEXES, True, RunState.DIFFERENT),
        (NoteTopic.OPTIONS, True, RunState.DIFFERENT),
        (NoteTopic.VIEWS, True, RunState.DIFFERENT),
        (NoteTopic.DUPLICATES, True, RunState.DIFFERENT),
        (NoteTopic.SOURCE, True, RunState.COMPLETE),
        (NoteTopic.INDEXES, False, RunState.COMPLETE),
    ],
)
def test_a_verification_is_complete_only_if_everything_is_equal(
    ledger: RedisLedger, topic: NoteTopic, attention: bool, state: RunState
) -> None:
    spec = verification()
    recorded(ledger, spec, 0)
    assert state_at_end(spec, ledger.progress(spec.run_id)) is RunState.COMPLETE
    ledger.set_notes(spec.run_id, topic, [RunNote(topic, "shop.orders", "a fact", attention)])
    assert state_at_end(spec, ledger.progress(spec.run_id)) is state


@pytest.mark.situation(
    11, "one difference", before="`complete` in `runs`, `status` and metrics", now="`different`"
)
@pytest.mark.parametrize("counters", [{"missing": 1}, {"extra": 1}, {"different": 1}])
def test_differences_are_not_complete(ledger: RedisLedger, counters: dict[str, int]) -> None:
    spec = verification()
    recorded(ledger, spec, 0, **counters)
    assert state_at_end(spec, ledger.progress(spec.run_id)) is RunState.DIFFERENT


def test_a_generation_with_failures_is_complete(ledger: RedisLedger) -> None:
    spec = generation_spec(10)
    recorded(ledger, spec, 2)
    assert state_at_end(spec, ledger.progress(spec.run_id)) is RunState.COMPLETE
