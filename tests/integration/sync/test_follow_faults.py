"""Processes are killed and suspended while a source is followed; both sides end equal.

Many more schedules, with faults of servers and networks: ``python -m tests.faults.follow_faults``.
"""

from __future__ import annotations

import random
import signal
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from dataworks_tasks.ledger.contract import RunState
from producer.local.services import RunningService
from tests.fleet import Fleet, pool_children, wait_until
from tests.integration.sync.test_follow import check_equal, cut_over, fill, start
from tests.integration.sync.writers import Writers

NAMES = ("orders", "people")
SUSPENDED_SECONDS = 4.0
"""Longer than a claim of these fleets."""


class Faults:
    """Kills and suspends processes of a fleet, drawn from a seed."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self._fleet, self._random = fleet, random.Random(seed)
        self._workers: list[RunningService] = [fleet.start_worker(2) for _ in range(2)]
        self._suspended: list[tuple[float, psutil.Process]] = []
        self.done: list[str] = []

    def once(self) -> None:
        """Do one of them, and wake who has been suspended for long enough."""
        self._wake(SUSPENDED_SECONDS)
        what = self._random.choice(["kill child", "suspend child", "kill worker"])
        worker = self._random.choice(self._workers)
        children = list(pool_children(worker))
        if what == "kill worker":
            psutil.Process(worker.pid).kill()
            self._workers.remove(worker)
            self._workers.append(self._fleet.start_worker(2))
        elif children:
            child = self._random.choice(children)
            if what == "kill child":
                child.send_signal(signal.SIGKILL)
            else:
                child.send_signal(signal.SIGSTOP)
                self._suspended.append((time.monotonic(), child))
        self.done.append(what)

    def end(self) -> None:
        """Wake everybody."""
        self._wake(0.0)

    def _wake(self, after_seconds: float) -> None:
        for since, process in list(self._suspended):
            if time.monotonic() - since >= after_seconds:
                self._suspended.remove((since, process))
                if process.is_running():
                    process.send_signal(signal.SIGCONT)


def follow_with_faults(fleet: Fleet, seed: int, faults: int) -> None:
    """One schedule, and the comparison that ends it."""
    chaos = Faults(fleet, seed)
    fill(fleet, *NAMES, count=200)
    url = fleet.environment["FRAMEWORK_SOURCE_DB_CONNECTION_STRING"]
    with Writers(url, fleet.database, NAMES, seed) as writers:
        run = start(fleet)
        for _ in range(faults):
            chaos.once()
            enough = writers.changes + 100
            wait_until(partial(writers.have_made, enough), "the writers write")
        chaos.end()
        wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    cut_over(fleet, run, "--accept-failures")
    check_equal(fleet, *NAMES)
    progress = fleet.ledger.progress(run)
    assert (progress.state, progress.failures) == (RunState.COMPLETE, 0), (seed, chaos.done)


@pytest.mark.parametrize("seed", [1])
def test_a_schedule_of_faults_ends_equal(live_fleet: Fleet, seed: int) -> None:
    follow_with_faults(live_fleet, seed, faults=4)


def test_a_process_that_dies_before_it_commits_leaves_nothing_out(
    live_fleet: Fleet, tmp_path: Path
) -> None:
    fleet, place = live_fleet, "reconcile-commit.before"
    fill(fleet, "orders", count=60)
    fleet.start_worker(1, DATAWORKS_FAILPOINTS=f"{place}=kill@1:{tmp_path}")
    run = start(fleet)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "the copy is done")
    orders = fleet.mongo[fleet.database].orders
    orders.update_many({"_id": {"$gte": 20}}, {"$inc": {"n": 1}})
    orders.delete_many({"_id": {"$lt": 20}})
    wait_until((tmp_path / place).exists, f"a process dies at {place}")
    cut_over(fleet, run)
    check_equal(fleet, "orders")


@pytest.mark.soak
def test_a_copy_that_is_suspended_before_its_write_resurrects_nothing(
    live_fleet: Fleet, tmp_path: Path
) -> None:
    """It looked at its claim, slept longer than any late write may take, and then wrote."""
    fleet = live_fleet
    fill(fleet, "orders", count=40)
    suspended = fleet.start_worker(1, DATAWORKS_FAILPOINTS=f"write.before=stop@1:{tmp_path}")
    run = start(fleet)
    wait_until((tmp_path / "write.before").exists, "the copy halts before its write")
    fleet.mongo[fleet.database].orders.delete_many({"_id": {"$lt": 10}})
    fleet.start_worker(1)
    wait_until(lambda: fleet.ledger.key_windows.is_copied(run), "another process copies it")
    copy = fleet.mongo[f"{fleet.database}_copy"].orders
    wait_until(lambda: copy.count_documents({}) == 30, "the deletions are followed")
    for child in pool_children(suspended):
        child.send_signal(signal.SIGCONT)
    wait_until(lambda: fleet.ledger.key_windows.status(run).hot_keys, "what it wrote is noted")
    cut_over(fleet, run)
    check_equal(fleet, "orders")
