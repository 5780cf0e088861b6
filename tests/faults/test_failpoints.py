"""SIGKILL at every named place in the work, then continue: nothing is missing or duplicated."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import psutil
import pytest

from dataworks_tasks.failpoints import (
    CHILD_FAILPOINTS,
    PARENT_FAILPOINTS,
    PRODUCER_FAILPOINTS,
    VARIABLE,
    armed,
)
from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until
from tests.support.exact import (
    check_copied,
    check_exact,
    fill_source,
    generate_arguments,
    migrate_arguments,
)

ONCE_A_RUN = {
    *("enqueue.before", "enqueue.after", "finish.before", "finish.after"),
    *("close-plan.before", "close-plan.after"),
}
OF_GENERATION = {
    name for name in CHILD_FAILPOINTS if not name.startswith("read.") and "plan" not in name
}
OF_MIGRATION = {name for name in CHILD_FAILPOINTS if not name.startswith("generate.")}


def _is_passed(place: str, marks: Path) -> bool:
    return place in passed(marks)


def _is_dead(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@contextmanager
def suspended(worker: psutil.Process) -> Iterator[None]:
    """Stop the worker and its pool meanwhile."""
    processes = [worker, *worker.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def killing(places: Iterable[str], marks: Path, passage: int = 2) -> dict[str, str]:
    """Return the environment in which each place kills one process, once."""
    entries = (f"{name}=kill@{1 if name in ONCE_A_RUN else passage}:{marks}" for name in places)
    return {VARIABLE: ",".join(entries)}


def passed(marks: Path) -> set[str]:
    return {path.name for path in marks.iterdir()}


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def test_a_pool_process_is_killed_at_every_place_of_a_generation(fleet: Fleet, marks: Path) -> None:
    # Only one task of a run gets to ask for the finish, so it is killed at one of the two places.
    places = OF_GENERATION - {"enqueue.after"}
    fleet.start_worker(2, killing(places, marks))
    total = 10_000
    result = fleet.run_json(*generate_arguments(fleet, total, batch_size=250))
    check_exact(fleet, str(result["run"]), total)
    assert passed(marks) == places


def test_a_pool_process_is_killed_at_every_place_of_a_migration(fleet: Fleet, marks: Path) -> None:
    places = OF_MIGRATION - {"enqueue.before", "enqueue.after"}
    fill_source(fleet, 10_000)
    fleet.start_worker(2, killing(places, marks))
    result = fleet.run_json(*migrate_arguments(fleet, batch_size=250))
    check_copied(fleet, str(result["run"]))
    assert passed(marks) == places


def test_a_run_that_nobody_watches_is_finished_all_the_same(fleet: Fleet, marks: Path) -> None:
    """The worker that closed the last gap dies before the request to finish: the driver asks."""
    fleet.start_worker(1, killing(["enqueue.before"], marks))
    total = 1000
    run_id = str(fleet.run_json(*generate_arguments(fleet, total, "--detach"))["run"])
    fleet.wait_for_state(run_id, RunState.COMPLETE)
    assert passed(marks) == {"enqueue.before"}
    check_exact(fleet, run_id, total)


@pytest.mark.soak
def test_a_worker_is_killed_around_taking_a_message_off_the_queue(
    fleet: Fleet, marks: Path
) -> None:
    total = 10_000
    producer = fleet.start(*generate_arguments(fleet, total, batch_size=250))
    for place in PARENT_FAILPOINTS:
        worker = psutil.Process(fleet.start_worker(1, killing([place], marks)).pid)
        wait_until(partial(_is_passed, place, marks), f"it reaches {place}")
        wait_until(partial(_is_dead, worker), "it dies")
    fleet.start_worker(1)
    assert producer.wait(60) == 0
    check_exact(fleet, fleet.newest_run(), total)


def test_the_producer_is_killed_at_every_place_and_nobody_resumes(
    fleet: Fleet, marks: Path
) -> None:
    total = 1000
    fill_source(fleet, total)
    worker = psutil.Process(fleet.start_worker(1).pid)
    for place in PRODUCER_FAILPOINTS:
        generates = generate_arguments(fleet, total, collection=place, batch_size=250)
        copies = migrate_arguments(fleet, collection=f"{place}-copy", batch_size=100)
        for arguments in (generates, copies):
            before = fleet.ledger.run_ids()
            (marks / place).unlink(missing_ok=True)
            # A worker that runs may send the first messages before the producer does. A copy needs
            # one: the first message asks for a plan.
            with suspended(worker) if arguments is generates else nullcontext():
                producer = fleet.start(*arguments, **killing([place], marks, 1))
                code = producer.wait(60)
            if code == 0 and arguments is copies and place.startswith("send"):
                assert place not in passed(marks)
            else:
                assert code == -signal.SIGKILL, place
                assert place in passed(marks)
            if place == "record.before":
                assert fleet.ledger.run_ids() == before
                continue
            fleet.wait_for_state(fleet.newest_run(), RunState.COMPLETE)
            if arguments is copies:
                check_copied(fleet, fleet.newest_run(), f"{place}-copy")
            else:
                check_exact(fleet, fleet.newest_run(), total, place)


@pytest.mark.parametrize("text", ["write.aftr=kill@1:/tmp", "write.after=burn@1:/tmp", "x"])
def test_a_mistyped_failpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="does not name a failpoint"):
        armed(text)
