"""SIGKILL anything in the middle of a run: afterwards the target holds exactly its documents."""

from __future__ import annotations

import random
import signal
import time

import psutil
import pytest

from dataworks_tasks.ledger.contract import RunState
from producer.local.services import LocalServices
from tests.fleet import QUEUE_LISTS, Fleet, pool_children, wait_until
from tests.support.exact import check_exact, generate_arguments

TOTAL = 60_000


def test_child_then_worker_then_producer_are_killed(fleet: Fleet) -> None:
    worker = fleet.start_worker(2)
    producer = fleet.start(*generate_arguments(fleet, TOTAL, "--max-rate", 8_000))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.3)
    next(pool_children(worker)).kill()
    fleet.wait_for_share(run_id, 0.5)
    psutil.Process(worker.pid).kill()
    fleet.start_worker(2)
    fleet.wait_for_share(run_id, 0.6)
    producer.kill()
    producer.wait()
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    check_exact(fleet, run_id, TOTAL)


def take_all(fleet: Fleet) -> list[bytes]:
    """Every message that waits, gone from the queue."""
    with fleet.redis.pipeline(transaction=True) as pipe:
        for name in QUEUE_LISTS:
            pipe.lrange(name, 0, -1)
        pipe.delete(*QUEUE_LISTS)
        *waiting, _ = pipe.execute()
    return [message for messages in waiting for message in messages]


def test_messages_are_lost_duplicated_reordered_and_late(fleet: Fleet) -> None:
    """Shuffled, some twice, some never; and what was held back comes when its ranges are done."""
    fleet.start_worker(1)
    total = 20_000
    arguments = generate_arguments(fleet, total, "--max-rate", 10_000, batch_size=500)
    producer = fleet.start(*arguments)
    run_id = fleet.newest_run()
    draw, taken = random.Random(7), dict[str, list[bytes]]()
    for step in range(1, 9):
        fleet.wait_for_share(run_id, 0.1 * step)
        for message in take_all(fleet):
            fate = draw.choice(("lost", "held back", "twice", "out of turn"))
            taken.setdefault(fate, []).append(message)
            if fate == "twice":
                fleet.redis.lpush("dataworks", message, message)
            elif fate == "out of turn":
                fleet.redis.rpush("dataworks", message)
    assert producer.wait(90) == 0
    assert len(taken) == 4, "each of these happened"
    fleet.redis.lpush("dataworks", *taken["held back"], *taken["lost"])
    wait_until(lambda: not fleet.waiting(), "late messages are taken")
    wait_until(lambda: not fleet.redis.hlen("unacked"), "and let go")
    check_exact(fleet, run_id, total)


def test_every_message_is_lost_and_nobody_resumes(fleet: Fleet) -> None:
    """The queue is flushed with all that drives the run; no producer is there."""
    total = 20_000
    arguments = generate_arguments(fleet, total, "--detach", batch_size=500)
    run_id = str(fleet.run_json(*arguments)["run"])
    assert take_all(fleet), "the first messages"
    fleet.start_worker(2)
    fleet.wait_for_share(run_id, 0.2)
    take_all(fleet)
    began = time.monotonic()
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    assert time.monotonic() - began < 15
    check_exact(fleet, run_id, total)


@pytest.mark.parametrize("name", ["valkey", pytest.param("mongod", marks=pytest.mark.soak)])
def test_a_server_is_killed_and_comes_back(
    own_services: LocalServices, own_fleet: Fleet, name: str
) -> None:
    own_fleet.start_worker(2)
    total = 40_000
    producer = own_fleet.start(*generate_arguments(own_fleet, total, "--max-rate", 8_000))
    run_id = own_fleet.newest_run()
    own_fleet.wait_for_share(run_id, 0.3)
    own_services.restart(name, signal.SIGKILL)
    assert producer.wait(100) == 0
    check_exact(own_fleet, run_id, total)


@pytest.mark.soak
def test_a_suspended_worker_duplicates_nothing(fleet: Fleet) -> None:
    worker = fleet.start_worker(1)
    total = 30_000
    producer = fleet.start(*generate_arguments(fleet, total, "--max-rate", 10_000))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.2)
    stopped = [*pool_children(worker), psutil.Process(worker.pid)]
    for process in stopped:
        process.suspend()
    fleet.start_worker(1)
    fleet.wait_for_share(run_id, 1.0)
    for process in stopped:
        process.resume()
    assert producer.wait(60) == 0
    check_exact(fleet, run_id, total)


@pytest.mark.soak
def test_pause_and_resume_twenty_times(fleet: Fleet) -> None:
    fleet.start_worker(2)
    total = 60_000
    arguments = generate_arguments(fleet, total, "--max-rate", 20_000, "--detach")
    run_id = str(fleet.run_json(*arguments)["run"])
    running, paused = frozenset({RunState.RUNNING}), frozenset({RunState.PAUSED})
    for step in range(20):
        fleet.wait_for_share(run_id, 0.005 * step)
        assert fleet.ledger.change_state(run_id, running, RunState.PAUSED)
        assert fleet.ledger.change_state(run_id, paused, RunState.RUNNING)
    assert fleet.run_json("resume", run_id)["documents"] == total
    check_exact(fleet, run_id, total)


@pytest.mark.soak
def test_warm_shutdown_gives_the_rest_back(fleet: Fleet) -> None:
    worker = fleet.start_worker(1)
    total = 40_000
    producer = fleet.start(*generate_arguments(fleet, total, "--max-rate", 10_000))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.2)
    process = psutil.Process(worker.pid)
    process.terminate()
    wait_until(lambda: not process.is_running() or process.status() == "zombie", "it leaves", 60)
    fleet.start_worker(1)
    assert producer.wait(90) == 0
    check_exact(fleet, run_id, total)
