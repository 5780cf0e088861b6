"""What is due, who does it, and for how long, on any Redis."""

from __future__ import annotations

import pytest
from redis import Redis

from dataworks_tasks.errors import UnknownName
from dataworks_tasks.ledger.keys import RunKeys, due_key, turns_key
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.windows import DueStep
from tests.contract.contract_support import generation_spec

QUEUE = "fleet"


@pytest.fixture
def run_id(ledger: RedisLedger) -> str:
    spec = generation_spec(10)
    ledger.create(spec, 10)
    return spec.run_id


def due_in(redis: Redis, due: DueStep) -> float | None:
    """Seconds until the step is due; None when it never is."""
    moment = redis.zscore(due_key(QUEUE), f"{due.run_id} {due.step}")
    return None if moment is None else float(moment) - server_time(redis)


def server_time(redis: Redis) -> float:
    seconds, microseconds = redis.time()
    return float(seconds + microseconds / 1e6)


def test_steps_are_due_when_they_are_scheduled(
    ledger: RedisLedger, redis: Redis, run_id: str
) -> None:
    ledger.driver.schedule(run_id, QUEUE, ("plan", "watch"), 0)
    later = DueStep(run_id, "change-log")
    ledger.driver.schedule(run_id, QUEUE, (later.step,), 30)
    assert due_in(redis, later) == pytest.approx(30, abs=5)
    found = ledger.driver.claim(QUEUE, 10, 5)
    assert found == [DueStep(run_id, "plan"), DueStep(run_id, "watch")]


def test_what_is_claimed_is_due_again_unless_somebody_takes_it(
    ledger: RedisLedger, redis: Redis, run_id: str
) -> None:
    ledger.driver.schedule(run_id, QUEUE, ("plan", "watch"), 0)
    assert ledger.driver.claim(QUEUE, 1, 20) == [DueStep(run_id, "plan")], "so many at most"
    assert ledger.driver.claim(QUEUE, 10, 40) == [DueStep(run_id, "watch")]
    assert ledger.driver.claim(QUEUE, 10, 5) == []
    assert due_in(redis, DueStep(run_id, "plan")) == pytest.approx(20, abs=5)
    assert due_in(redis, DueStep(run_id, "watch")) == pytest.approx(40, abs=5)
    assert ledger.driver.claim("another queue", 10, 5) == []


def test_a_lease_has_one_holder(ledger: RedisLedger, redis: Redis, run_id: str) -> None:
    due, driver = DueStep(run_id, "watch"), ledger.driver
    assert driver.hold(due, QUEUE, "me", 60) == ""
    assert driver.hold(due, QUEUE, "me", 60, "half", 15) == "half"
    assert due_in(redis, due) == pytest.approx(15, abs=5)
    assert driver.hold(due, QUEUE, "another", 60, "theirs", 1) is None
    assert due_in(redis, due) == pytest.approx(15, abs=5), "nothing is changed"
    assert driver.hold(due, QUEUE, "me", 0, "all", None) == "all"
    assert due_in(redis, due) is None
    assert driver.hold(due, QUEUE, "another", 60) == "all"


def test_a_step_is_held_while_somebody_does_it(
    ledger: RedisLedger, redis: Redis, run_id: str
) -> None:
    driver, due = ledger.driver, DueStep(run_id, "plan")
    assert not driver.is_held(due)
    driver.hold(due, QUEUE, "me", 60)
    assert driver.is_held(due)
    assert not driver.is_held(DueStep(run_id, "watch"))
    driver.hold(due, QUEUE, "me", 0, None, 5)
    assert not driver.is_held(due)
    driver.hold(due, QUEUE, "me", 60)
    redis.hset(RunKeys(run_id).steps, "plan:until", "1.5")  # its holder died
    assert not driver.is_held(due)


def test_nobody_looks_after_what_is_forgotten(
    ledger: RedisLedger, redis: Redis, run_id: str
) -> None:
    due = DueStep(run_id, "watch")
    other = generation_spec(10)
    ledger.create(other, 10, QUEUE, ["watch"])
    ledger.driver.schedule(run_id, QUEUE, ("watch",), 0)
    for run in (run_id, other.run_id):
        redis.zadd(turns_key(QUEUE), {run: 0})
    ledger.driver.forget(due, QUEUE)
    assert due_in(redis, due) is None
    assert redis.zrange(turns_key(QUEUE), 0, -1) == [other.run_id.encode()]
    assert ledger.driver.claim(QUEUE, 10, 5) == [DueStep(other.run_id, "watch")]


def test_the_finish_is_sent_once_in_so_long(ledger: RedisLedger, run_id: str) -> None:
    assert ledger.driver.may_send_finish(run_id, 60)
    assert not ledger.driver.may_send_finish(run_id, 60)


def test_nobody_is_asked_to_finish_while_somebody_does(ledger: RedisLedger, run_id: str) -> None:
    ledger.acquire_finish_lease(run_id, "me", 60)
    assert not ledger.driver.may_send_finish(run_id, 60)
    ledger.acquire_finish_lease(run_id, "me", 0)
    assert ledger.driver.may_send_finish(run_id, 60)


def test_the_finish_may_be_sent_again_when_the_time_is_over(
    ledger: RedisLedger, redis: Redis, run_id: str
) -> None:
    assert ledger.driver.may_send_finish(run_id, 60.5)
    sent = RunKeys(run_id).finish_sent
    assert 30_000 < redis.pttl(sent) <= 60_500
    redis.delete(sent)  # as its expiry does
    assert ledger.driver.may_send_finish(run_id, 60)


def test_a_finish_lease_that_has_expired_keeps_nobody_from_it(
    ledger: RedisLedger, redis: Redis, run_id: str
) -> None:
    ledger.acquire_finish_lease(run_id, "dead", 60)
    seconds, _ = redis.time()
    redis.hset(RunKeys(run_id).record, "finish_until", f"{seconds - 1}")
    assert ledger.driver.may_send_finish(run_id, 60)


def test_part_of_a_second_counts(ledger: RedisLedger, redis: Redis, run_id: str) -> None:
    due, driver = DueStep(run_id, "watch"), ledger.driver

    def is_due_in(seconds: float, begun: float) -> bool:
        """Whether it is due so long after a moment between ``begun`` and now."""
        moment = redis.zscore(due_key(QUEUE), f"{run_id} watch") or 0.0
        return begun - 0.001 <= float(moment) - seconds <= server_time(redis) + 0.001

    begun = server_time(redis)
    driver.schedule(run_id, QUEUE, (due.step,), 0.25)
    assert is_due_in(0.25, begun)
    redis.zadd(due_key(QUEUE), {f"{run_id} watch": 0})
    begun = server_time(redis)
    assert driver.claim(QUEUE, 1, 30.5) == [due]
    assert is_due_in(30.5, begun)
    begun = server_time(redis)
    assert driver.hold(due, QUEUE, "me", 60, None, 90.5) == ""
    assert is_due_in(90.5, begun)


def test_without_steps_nothing_is_scheduled(ledger: RedisLedger, redis: Redis, run_id: str) -> None:
    ledger.driver.schedule(run_id, QUEUE, (), 0)
    assert not redis.exists(due_key(QUEUE))


@pytest.mark.parametrize("member", [b"one-word", b"a run of four"])
def test_what_names_no_step_is_left_alone(
    ledger: RedisLedger, redis: Redis, run_id: str, member: bytes
) -> None:
    redis.zadd(due_key(QUEUE), {member: 0})
    ledger.driver.schedule(run_id, QUEUE, ("watch",), 0)
    assert ledger.driver.claim(QUEUE, 10, 5) == [DueStep(run_id, "watch")]


def test_a_run_that_redis_has_lost_is_named(ledger: RedisLedger) -> None:
    lost = DueStep("gen-20261126-000000-0000", "watch")
    with pytest.raises(UnknownName, match="run 'gen-20261126-000000-0000' is not on record"):
        ledger.driver.hold(lost, QUEUE, "me", 60)
