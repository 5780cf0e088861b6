"""Messages of a run: what waits, what is in hand, what is lost, and who may begin when."""

from __future__ import annotations

import random
from collections import deque

import pytest
from redis import Redis

from dataworks_tasks.drive.watch_messages import wanted_processes
from dataworks_tasks.errors import UnknownName
from dataworks_tasks.ledger.contract import WORKING, PlanEnd, RangeResult, RunState
from dataworks_tasks.ledger.key_windows import Append
from dataworks_tasks.ledger.keys import RunKeys, due_key, turns_key, wanted_keys
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.windows import WAKE, DueStep, Release, Rivals, Taking
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunSpec
from tests.contract.contract_support import generation_spec, migration_spec

QUEUE = "fleet"
PREFIXES = {"slice_prefix"}
"""Properties of RunKeys that are not keys, but prefixes of several."""
nothing = RangeResult({})


def opened(ledger: RedisLedger, total: int, room: int = 2, processes: int = 0) -> str:
    """Return a run of ranges of ten, ready to be sent."""
    spec = generation_spec(total)
    ledger.create(spec, total, QUEUE, ["watch"])
    ledger.windows.open(spec.run_id, QUEUE, 10, room, processes)
    return spec.run_id


def test_a_taken_message_is_replaced_by_the_next(ledger: RedisLedger) -> None:
    run, windows = opened(ledger, 60), ledger.windows
    assert windows.refill(run) == ((0, 10), (10, 20))
    assert windows.refill(run) == (), "the window is full"
    first = windows.take(run, BatchRange(0, 10), "w1", 5)
    assert (first.taking, first.to_send) == (Taking.TAKEN, ((20, 30),))
    ledger.acknowledge(run, BatchRange(0, 10), nothing)
    ledger.acknowledge(run, BatchRange(30, 40), nothing)
    again = windows.take(run, BatchRange(0, 10), "w2", 5)
    assert (again.taking, again.to_send) == (Taking.HELD, ((40, 50),))
    assert windows.release(run, 0, "w1", Release(progressed=True)) == ()


def test_a_window_that_two_open_at_once_has_each_message_once(
    ledger: RedisLedger, redis: Redis
) -> None:
    """The command that records a run opens its window, and so does a worker that notices first."""
    run, windows = opened(ledger, 60), ledger.windows
    assert windows.refill(run) == ((0, 10), (10, 20))
    windows.open(run, QUEUE, 10, 2)
    assert windows.refill(run) == ()
    redis.hincrbyfloat(RunKeys(run).window, "opened", -10)  # resumed later
    windows.open(run, QUEUE, 10, 2)
    assert windows.refill(run) == ((0, 10), (10, 20))


@pytest.mark.parametrize(
    ("windows", "first"), [(15, (0, 1)), (24, (0, 3)), (64, (0, 4)), (200, (0, 4))]
)
def test_a_message_has_several_key_windows_where_many_wait(
    ledger: RedisLedger, redis: Redis, windows: int, first: tuple[int, int]
) -> None:
    spec = migration_spec()
    ledger.create(spec, None, QUEUE, ["watch"])
    ledger.windows.open(spec.run_id, QUEUE, 1, 1)
    ledger.key_windows.append(spec.run_id, Append([b"window"] * windows))
    assert ledger.windows.refill(spec.run_id) == ((0, 1),), "a slice of the copy comes alone"
    redis.hset(RunKeys(spec.run_id).record, "copied", "1")
    redis.hset(RunKeys(spec.run_id).window, mapping={"sent": 0, "waiting": 0})
    assert ledger.windows.refill(spec.run_id) == (first,)


def test_a_rest_is_sent_before_what_is_new(ledger: RedisLedger) -> None:
    run, windows = opened(ledger, 100, room=1), ledger.windows
    windows.refill(run)
    assert windows.take(run, BatchRange(0, 10), "w1", 5).to_send == ((10, 20),)
    assert windows.release(run, 0, "w1", Release([BatchRange(4, 10)])) == ()
    assert windows.take(run, BatchRange(10, 20), "w1", 5).to_send == ((4, 10),)


def test_a_run_that_waits_for_tokens_has_no_messages(ledger: RedisLedger, redis: Redis) -> None:
    run, windows = opened(ledger, 60), ledger.windows
    other = opened(ledger, 60)
    windows.refill(run)
    assert windows.take(run, BatchRange(0, 10), "w1", 5).others == 1
    assert windows.release(run, 0, "w1", Release([BatchRange(2, 10)], 30.0, parks=True)) == ()
    assert windows.take(run, BatchRange(10, 20), "w1", 5).taking is Taking.PARKED
    assert windows.refill(run) == ()
    assert windows.rivals(other).others == 0, "it wants no process meanwhile"
    wake = f"{run} {WAKE}"
    assert redis.zscore(due_key(QUEUE), wake)
    redis.zadd(due_key(QUEUE), {wake: 0})
    assert DueStep(run, WAKE) in ledger.driver.claim(QUEUE, 10, 5)
    assert redis.zscore(due_key(QUEUE), wake) is None


def test_rivals_are_the_other_runs_that_work(ledger: RedisLedger) -> None:
    run, other, windows = opened(ledger, 60), opened(ledger, 60), ledger.windows
    assert windows.rivals(run) == Rivals(is_working=True, others=1, takes=0)
    windows.refill(run)
    windows.take(run, BatchRange(0, 10), "w1", 5)
    assert windows.rivals(run) == Rivals(is_working=True, others=1, takes=1)
    ledger.change_state(other, WORKING, RunState.PAUSED)
    assert not windows.rivals(other).is_working


def test_who_has_the_processes_that_a_run_waits_for(ledger: RedisLedger, redis: Redis) -> None:
    run, other, windows = opened(ledger, 60), opened(ledger, 60), ledger.windows
    windows.refill(run)
    windows.refill(other)
    assert windows.served_before(run) == [other]
    assert windows.served_before(other) == [run]
    windows.take(run, BatchRange(0, 10), "w1", 5)
    assert windows.served_before(run) == [], "it has a process"
    assert windows.served_before(other) == [run]
    redis.zadd(turns_key(QUEUE), {other: int(redis.time()[0]) + 60})
    assert windows.served_before(other) == [], "it waits for its own tokens, not for others"


def test_a_range_that_failed_comes_back_later_and_counts(ledger: RedisLedger) -> None:
    run, windows = opened(ledger, 20), ledger.windows
    windows.refill(run)
    windows.take(run, BatchRange(0, 10), "w1", 5)
    assert windows.release(run, 0, "w1", Release([BatchRange(0, 10)], 60.0, failed=True)) == ()
    assert windows.look(run).put_off == ((0, 10),)
    assert windows.take(run, BatchRange(0, 10), "w2", 5).tries == 1
    windows.release(run, 0, "w2", Release([BatchRange(0, 10)], progressed=True))
    assert windows.take(run, BatchRange(0, 10), "w2", 5).tries == 0


def test_ranges_that_fail_do_not_pile_up(ledger: RedisLedger) -> None:
    run, windows = opened(ledger, 100_000), ledger.windows
    queue = deque(windows.refill(run))
    while queue:
        taken = queue.popleft()
        queue += windows.take(run, taken, "w1", 5).to_send
        queue += windows.release(run, taken.start, "w1", Release([taken], 60.0, failed=True))
    assert len(windows.look(run).put_off) == 66


def test_a_range_that_returns_to_the_queue_is_not_lost(ledger: RedisLedger) -> None:
    """Its message is behind each probe, though it was in the queue all the time."""
    run, windows = opened(ledger, 100), ledger.windows
    windows.refill(run)
    windows.correct(run, 2, [BatchRange(0, 40), BatchRange(50, 60)], [])
    windows.take(run, BatchRange(0, 10), "w1", 60)
    assert windows.release(run, 0, "w1", Release([BatchRange(5, 10)])) == ()
    assert windows.look(run).suspects == ((0, 40), (50, 60))
    assert windows.take(run, BatchRange(10, 20), "w1", 60).to_send == ((5, 10),)
    assert windows.look(run).suspects == ((0, 5), (10, 40), (50, 60))
    windows.release(run, 10, "w1", Release([BatchRange(15, 52)]))
    assert windows.take(run, BatchRange(20, 30), "w1", 60).to_send == ((15, 52),)
    assert windows.look(run).suspects == ((0, 5), (10, 15), (52, 60))


def test_messages_before_a_probe_that_was_sent_again_still_wait(ledger: RedisLedger) -> None:
    """A queue whose messages take long does not fill with more of them at each probe."""
    run, windows = opened(ledger, 100), ledger.windows
    windows.probe(run)
    assert windows.refill(run) == ((0, 10), (10, 20))
    windows.probe(run)
    windows.look(run)
    assert windows.refill(run) == (), "both are behind the first probe"
    windows.take(run, BatchRange(0, 10), "w1", 60)
    windows.take(run, BatchRange(10, 20), "w1", 60)
    windows.look(run)
    windows.probe(run)
    windows.look(run)
    assert windows.refill(run) == ((40, 50), (50, 60)), "what was lost is sent by the next probe"


def test_a_run_keeps_to_its_processes(ledger: RedisLedger) -> None:
    run, windows = opened(ledger, 100, room=4, processes=2), ledger.windows
    first, second = windows.refill(run)
    assert windows.take(run, first, "w1", 5).to_send == ()
    assert windows.take(run, second, "w2", 5).to_send == ()
    assert windows.take(run, BatchRange(50, 60), "w3", 5).taking is Taking.FULL
    assert windows.release(run, first.start, "w1", Release()) == ((50, 60),)


def test_the_dead_are_counted_and_their_ranges_are_free(ledger: RedisLedger) -> None:
    run, windows = opened(ledger, 100), ledger.windows
    first, _ = windows.refill(run)
    windows.take(run, first, "w1", 0)
    seen = windows.look(run)
    assert (seen.in_hand, seen.sent) == ((), 30)
    assert windows.take(run, first, "w2", 60).deaths == 1
    assert windows.take(run, first, "w3", 60, dead=True).deaths == 2
    assert windows.keep(run, first.start, "w3", 60)
    assert not windows.keep(run, first.start, "w2", 60)
    assert windows.look(run).in_hand == (first,)


def test_nothing_is_sent_for_a_run_that_is_paused(ledger: RedisLedger, redis: Redis) -> None:
    run, windows = opened(ledger, 100), ledger.windows
    first, _ = windows.refill(run)
    ledger.change_state(run, frozenset({RunState.RUNNING}), RunState.PAUSED)
    assert windows.take(run, first, "w1", 5).taking is Taking.STOPPED
    assert windows.refill(run) == ()
    assert redis.zscore(turns_key(QUEUE), run) is None


def test_a_message_beyond_what_is_planned(ledger: RedisLedger) -> None:
    spec = migration_spec()
    ledger.create(spec, None, QUEUE, ["plan", "watch"])
    ledger.windows.open(spec.run_id, QUEUE, 1, 2)
    assert ledger.windows.refill(spec.run_id) == ()
    assert ledger.windows.take(spec.run_id, BatchRange(0, 1), "w", 5).taking is Taking.BEYOND
    ledger.append_slices(spec.run_id, PlanEnd(0, None), [b"a", b"b", b"c"], 3)
    assert ledger.windows.refill(spec.run_id) == ((0, 1), (1, 2))


def test_a_run_that_is_not_on_record(ledger: RedisLedger) -> None:
    with pytest.raises(UnknownName):
        ledger.windows.refill("gen-unknown")
    with pytest.raises(UnknownName):
        ledger.driver.hold(DueStep("gen-unknown", "watch"), QUEUE, "w", 5)


def test_one_process_at_a_time_does_a_step(ledger: RedisLedger, redis: Redis) -> None:
    run = opened(ledger, 10)
    due, hold = DueStep(run, "watch"), ledger.driver.hold
    assert due in ledger.driver.claim(QUEUE, 10, 5), "it is due since the run is on record"
    assert due not in ledger.driver.claim(QUEUE, 10, 5)
    assert hold(due, QUEUE, "w1", 5, None, 5) == ""
    assert hold(due, QUEUE, "w2", 5, None, 5) is None
    assert hold(due, QUEUE, "w1", 0, "far", 0.0) == "far"
    assert due in ledger.driver.claim(QUEUE, 10, 5)
    assert hold(due, QUEUE, "w2", 5, None, 5) == "far"
    assert hold(due, QUEUE, "w2", 0, None, None) == "far"
    assert redis.zscore(due_key(QUEUE), f"{run} watch") is None


def test_an_autoscaler_reads_what_all_runs_want(ledger: RedisLedger, redis: Redis) -> None:
    one, two = opened(ledger, 100), opened(ledger, 100)
    wanted = wanted_keys(QUEUE)[1]
    redis.delete(*wanted_keys(QUEUE))
    for run, processes, length in ((one, 3, 3), (two, 4, 7), (one, 1, 5), (one, 10**6, 1000)):
        ledger.windows.want(run, processes)
        assert redis.llen(wanted) == length
    ledger.windows.want(one, 0)
    assert redis.llen(wanted) == 4
    ledger.forget(two)
    ledger.windows.want(one, 0)
    assert not redis.exists(wanted)


def test_a_run_wants_no_process_that_would_sleep(ledger: RedisLedger) -> None:
    spec = generation_spec(100)
    ledger.create(spec, 100, QUEUE, ["watch"])
    ledger.windows.open(spec.run_id, QUEUE, 10, 2)
    limited = spec.model_copy(update={"max_rate": 5.0})

    def wanted(of: RunSpec) -> int:
        seen = ledger.windows.look(spec.run_id)
        return wanted_processes(of, ledger.progress(spec.run_id), seen)

    assert wanted(spec) == 10
    assert wanted(spec.model_copy(update={"max_processes": 3})) == 3
    assert wanted(limited) == 1
    first, _ = ledger.windows.refill(spec.run_id)
    ledger.windows.take(spec.run_id, first, "w1", 60)
    assert wanted(limited) == 2, "one that works, and one more to see whether it finds tokens"
    ledger.windows.take(spec.run_id, BatchRange(10, 20), "w2", 60)
    ledger.windows.release(spec.run_id, 10, "w2", Release([BatchRange(10, 20)], 60, parks=True))
    assert wanted(limited) == 1, "no process is at work"
    ledger.windows.release(spec.run_id, 0, "w1", Release([first], 60, parks=True))
    assert wanted(limited) == 1, "an autoscaler must not remove the last worker of a run"


def test_a_forgotten_run_leaves_nothing(ledger: RedisLedger, redis: Redis) -> None:
    run = opened(ledger, 100)
    keys = RunKeys(run)
    own = {
        getattr(keys, name)
        for name, value in vars(RunKeys).items()
        if isinstance(value, property) and name not in {"all", *PREFIXES}
    }
    assert own == {*keys.all, keys.record}, "a new key of a run is named in RunKeys.all"
    ledger.forget(run)
    assert not redis.keys(f"*{run}*")
    assert run not in ledger.run_ids()


def test_a_finish_is_asked_for_once_in_a_while(ledger: RedisLedger) -> None:
    run = opened(ledger, 10)
    assert ledger.driver.may_send_finish(run, 60)
    assert not ledger.driver.may_send_finish(run, 60)
    other = opened(ledger, 10)
    ledger.acquire_finish_lease(other, "w1", 60)
    assert not ledger.driver.may_send_finish(other, 60)


@pytest.mark.parametrize("seed", range(3))
def test_a_lossy_queue_never_loses_a_range(ledger: RedisLedger, seed: int) -> None:
    """Messages are lost and duplicated, workers die; looks at what is missing end the run."""
    draw, total = random.Random(seed), 400
    run, windows = opened(ledger, total, room=3), ledger.windows
    queue, longest = deque(windows.refill(run)), 0
    for step in range(2000):
        if next(ledger.gaps(run), None) is None:
            break
        if queue and draw.random() < 0.8:
            wanted = queue.popleft()
            if draw.random() < 0.15:
                continue
            if draw.random() < 0.1:
                queue.append(wanted)
            taken = windows.take(run, wanted, f"w{step}", 60)
            queue += taken.to_send
            if taken.taking is not Taking.TAKEN:
                continue
            stop = draw.randrange(wanted.start + 1, wanted.stop + 1)
            ledger.acknowledge(run, BatchRange(wanted.start, stop), nothing)
            if draw.random() < 0.1:
                windows.keep(run, wanted.start, f"w{step}", 0)
                continue
            rests = [BatchRange(stop, wanted.stop)] if stop < wanted.stop else []
            queue += windows.release(run, wanted.start, f"w{step}", Release(rests, progressed=True))
            longest = max(longest, len(queue))
        elif not queue:
            windows.probe(run)
            seen = windows.look(run)
            covered = {*seen.in_hand, *seen.put_off}
            gaps = ledger.gaps(run, BatchRange(0, seen.sent)) if seen.sent else ()
            lost = [gap for gap in gaps if gap not in covered]
            queue += windows.correct(run, 3, (), [part for gap in lost for part in gap.split(10)])
    assert list(ledger.gaps(run)) == []
    assert longest < 12, "the window stays small"
