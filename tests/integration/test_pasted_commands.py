"""A command that is printed works where it is pasted, for a run that was started with flags."""

from __future__ import annotations

import shlex

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet


def printed_command(text: str) -> list[str]:
    """Return the arguments of the last command in ``text``."""
    return shlex.split(text.rpartition("dataworks ")[2].splitlines()[0])


def test_a_run_of_another_target_is_continued_by_what_is_printed(fleet: Fleet) -> None:
    address = fleet.environment.pop("FRAMEWORK_TARGET_DB_CONNECTION_STRING")
    where = ("--database", fleet.database, "--collection", "o", "--target", address)
    run = fleet.run_json("generate", "service_order", "--total", 10, *where, "--detach")["run"]
    paused = fleet.run("pause", run).stdout
    assert printed_command(fleet.run("status", run, check=False).stdout) == printed_command(paused)
    refused = fleet.run("resume", run, "--detach", check=False)
    assert (refused.returncode, "no target database" in refused.stderr) == (2, True)
    watch = fleet.run(*printed_command(paused), "--detach").stdout
    assert fleet.ledger.state(run) is RunState.RUNNING
    assert printed_command(watch) == ["status", run, "--watch"]
