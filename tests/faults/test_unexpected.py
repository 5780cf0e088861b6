"""Unexpected exceptions in a real worker: recorded, tried again, and never for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.unexpected import MOST_TRIES
from tests.fleet import Fleet, wait_until

STRATEGY = """
from dataworks_tasks import BaseMigrationStrategy, MigrationStrategyFactory

@MigrationStrategyFactory.register
class Picky(BaseMigrationStrategy):
    name = "picky"

    def read_batch(self, batch):
        for document in super().read_batch(batch):
            if {condition}:
                raise {error}
            yield document
"""
OPEN_RUN = """
import pathlib
from dataworks_tasks.worker.process import WorkerProcess

COUNT = pathlib.Path({count!r})
original = WorkerProcess.open_run

def broken(self, run_id):
    tries = int(COUNT.read_text()) if COUNT.exists() else 0
    COUNT.write_text(str(tries + 1))
    if tries < {most}:
        raise {error}
    return original(self, run_id)

WorkerProcess.open_run = broken
"""
SIZE = ("--total", "40", "--batch-size", "40")
GENERATE = ("generate", "sensors", *SIZE, "--collection", "made", "--detach")


def _plugin(fleet: Fleet, text: str) -> dict[str, str]:
    path = fleet.folder / "plugin.py"
    path.write_text(text)
    return {"FRAMEWORK_PLUGINS": str(path)}


def _count(fleet: Fleet) -> Path:
    return fleet.folder / "count"


def _ended(fleet: Fleet, run_id: str) -> RunState | None:
    state = fleet.ledger.state(run_id)
    return state if state in {RunState.FAILED, RunState.COMPLETE} else None


@pytest.mark.situation(
    12,
    "a task raises what nobody foresaw",
    before="the message is lost without a word",
    now="tried again, the error is on record",
)
@pytest.mark.parametrize(
    "error", ["KeyError('lost')", "MemoryError()", "RecursionError('too deep')"]
)
def test_a_message_is_tried_again_and_the_error_is_on_record(fleet: Fleet, error: str) -> None:
    text = OPEN_RUN.format(error=error, most=2, count=str(_count(fleet)))
    worker = fleet.start_worker(environment_too=_plugin(fleet, text))
    run_id = fleet.run_json(*GENERATE)["run"]
    assert wait_until(lambda: _ended(fleet, run_id), "the run ends") is RunState.COMPLETE
    assert len(fleet.raw_documents("made")) == 40
    logged = worker.site.log_text()
    assert logged.count("Traceback") == 2
    assert f"{error.partition('(')[0]}" in logged


@pytest.mark.situation(
    12,
    "a task raises it every time",
    before="`running`, for ever",
    now="`failed` with the error's name after six failures without progress",
)
def test_a_run_is_stopped_by_name_when_it_fails_every_time(fleet: Fleet) -> None:
    text = OPEN_RUN.format(error="KeyError('lost')", most=10**9, count=str(_count(fleet)))
    fleet.start_worker(environment_too=_plugin(fleet, text))
    run_id = fleet.run_json(*GENERATE)["run"]
    assert wait_until(lambda: _ended(fleet, run_id), "the run ends") is RunState.FAILED
    error = fleet.ledger.progress(run_id).last_error or ""
    assert "[0:40) failed" in error
    assert "KeyError: 'lost' (plugin.py, line" in error
    assert f"dataworks resume {run_id}" in error
    assert int(_count(fleet).read_text()) == MOST_TRIES


@pytest.mark.situation(
    12,
    "finishing raises it every time",
    before="every three seconds the same traceback, for ever",
    now="`failed` with the error's name",
)
def test_a_finish_that_fails_every_time_stops_the_run_by_name(fleet: Fleet) -> None:
    text = (
        "from dataworks_tasks.generate.generation_work import GenerationWork\n"
        "def finish(self, turn):\n    return {}['index']\n"
        "GenerationWork.finish = finish\n"
    )
    fleet.start_worker(environment_too=_plugin(fleet, text))
    run_id = fleet.run_json(*GENERATE)["run"]
    assert wait_until(lambda: _ended(fleet, run_id), "the run ends") is RunState.FAILED
    assert "finishing failed" in (fleet.ledger.progress(run_id).last_error or "")


@pytest.mark.situation(
    12,
    "a strategy's `read_batch` raises, always or for one document",
    before="`running`, `last_error` null, for ever",
    now="that document's failure, exit 4",
)
@pytest.mark.parametrize("error", ["KeyError('x')", "RecursionError()", "OSError('disk')"])
def test_what_read_batch_raises_is_the_documents_failure(fleet: Fleet, error: str) -> None:
    source = fleet.mongo[fleet.database]["odd"]
    source.insert_many({"_id": number} for number in range(30))
    text = STRATEGY.format(condition="document['_id'] % 10 == 3", error=error)
    plugin = _plugin(fleet, text)
    fleet.start_worker(environment_too=plugin)
    fleet.environment.update(plugin)
    arguments = ("--include", f"{fleet.database}.odd", "--to", f"{fleet.database}.copy")
    done = fleet.run("migrate", *arguments, "--strategy", "picky", check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    copied = {document["_id"] for document in fleet.mongo[fleet.database]["copy"].find()}
    assert copied == set(range(30)) - {3, 13, 23}
    reasons = [failure.reason for failure in fleet.ledger.failures(fleet.newest_run())]
    assert len(reasons) == 3
    assert all(error.partition("(")[0] in reason for reason in reasons)


@pytest.mark.situation(
    12,
    "a strategy's `read_batch` loses or adds documents",
    before="`running`, for ever",
    now='`failed`: "does not return one document for each document of the batch", exit 1',
)
def test_a_strategy_that_loses_documents_stops_the_run(fleet: Fleet) -> None:
    source = fleet.mongo[fleet.database]["odd"]
    source.insert_many({"_id": number} for number in range(30))
    text = STRATEGY.replace("raise {error}", "continue").format(condition="document['_id'] == 3")
    plugin = _plugin(fleet, text)
    fleet.start_worker(environment_too=plugin)
    fleet.environment.update(plugin)
    arguments = ("--include", f"{fleet.database}.odd", "--to", f"{fleet.database}.copy")
    done = fleet.run("migrate", *arguments, "--strategy", "picky", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "does not return one document for each" in done.stdout + done.stderr


@pytest.mark.situation(
    12,
    "a task is killed at its time limit",
    before="its message is acknowledged, and lost",
    now="delivered again",
)
def test_a_task_killed_at_its_time_limit_is_delivered_again(fleet: Fleet) -> None:
    """The first try hangs where a driver would; the limit is Celery's own."""
    text = (
        "import pathlib, time\n"
        "from dataworks_tasks.worker.process import WorkerProcess\n"
        f"COUNT = pathlib.Path({str(_count(fleet))!r})\n"
        "original = WorkerProcess.open_run\n"
        "def hanging(self, run_id):\n"
        "    if not COUNT.exists():\n"
        "        COUNT.write_text('hung')\n"
        "        time.sleep(600)\n"
        "    return original(self, run_id)\n"
        "WorkerProcess.open_run = hanging\n"
    )
    plugin = _plugin(fleet, text)
    worker = fleet.start_worker(environment_too=plugin, application="tests.support.hasty_app")
    run_id = fleet.run_json(*GENERATE)["run"]
    assert wait_until(lambda: _ended(fleet, run_id), "the run ends") is RunState.COMPLETE
    assert "Hard time limit" in worker.site.log_text()
    assert _count(fleet).exists()
    assert len(fleet.raw_documents("made")) == 40
