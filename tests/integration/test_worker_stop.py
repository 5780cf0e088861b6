"""A worker that has nothing to do ends at once, and one that works finishes first."""

from __future__ import annotations

import threading
import time

import psutil
import pytest
from redis import Redis

from dataworks_tasks.broker.blocking_read import end_blocking_read
from producer.local.celery_services import CeleryWorker
from producer.local.services import LocalServices
from tests.fleet import Fleet, wait_until
from tests.support.exact import check_exact, generate_arguments
from tests.support.halted_work import HaltedWork

LIMIT_SECONDS = 1.4
"""Without the step, an idle worker takes two seconds: it sleeps for 1.5 of them."""


@pytest.mark.parametrize("arguments", [("--concurrency", "3"), ("--pool", "solo")])
def test_an_idle_worker_ends_at_once(
    local_services: LocalServices, redis_url: str, arguments: tuple[str, ...]
) -> None:
    name = f"idle-{arguments[1]}"
    worker = CeleryWorker({"FRAMEWORK_BROKER_URL": redis_url}, name, arguments=arguments)
    local_services.start(worker)
    started = time.monotonic()

    assert local_services.stop(name) == 0

    assert time.monotonic() - started < LIMIT_SECONDS
    assert "Traceback" not in (local_services.folder / "logs" / f"{name}.log").read_text()


def test_a_worker_that_is_stopped_in_its_work_acknowledges_it(fleet: Fleet) -> None:
    """Its range is complete, and its message is not given back to be done once more."""
    halted = HaltedWork(fleet, passage=2)
    command = fleet.start(*generate_arguments(fleet, 3000, batch_size=500))
    halted.wait()
    run_id = fleet.newest_run()
    before = fleet.ledger.progress(run_id).acknowledged
    process = psutil.Process(halted.worker.pid)
    process.terminate()
    wait_until(lambda: "Warm shutdown" in halted.worker.site.log_text(), "it is asked to stop")
    halted.release()
    wait_until(lambda: not process.is_running(), "the worker ends")
    log = halted.worker.site.log_text()
    assert fleet.ledger.progress(run_id).acknowledged > before
    assert "Restoring" not in log
    assert "Traceback" not in log
    assert fleet.redis.hlen("unacked") == 0
    fleet.start_worker(1)
    assert command.wait(60) == 0
    check_exact(fleet, run_id, 3000)


def test_a_blocking_read_is_answered_and_others_are_not(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client, Redis.from_url(redis_url) as other:
        connection = client.connection_pool.get_connection()
        connection.send_command("BRPOP", "nothing", 600)
        left_alone = other.connection_pool.get_connection()
        left_alone.send_command("BRPOP", "something", 600)
        _wait_until_blocked(redis_url, 2)

        end_blocking_read(lambda: Redis.from_url(redis_url), connection)

        assert connection.read_response(timeout=30) is None
        client.lpush("something", "x")
        assert left_alone.read_response(timeout=30) == [b"something", b"x"]


def _wait_until_blocked(redis_url: str, count: int) -> None:
    with Redis.from_url(redis_url) as client:
        deadline = time.monotonic() + 30
        while client.info("clients")["blocked_clients"] < count:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
