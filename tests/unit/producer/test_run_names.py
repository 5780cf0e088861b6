"""What people call a run, and read of its collections."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from producer.cli import COMMANDS
from producer.connections import Connections
from producer.report.describe import described_spec
from producer.resume.spec_file import keep_name, keep_spec, kept_name, load_spec
from producer.view.run_summary import shown_name


class _Asked(Exception):
    """Which run a command looked for."""


def _commands() -> list[click.Command]:
    modules = (f"producer.cli.{name.replace('-', '_')}" for name in COMMANDS)
    return [found.command for name in modules if (found := import_module(name))]


_OF_RUNS = [
    command for command in _commands() if any(item.name == "run_id" for item in command.params)
]


@pytest.mark.parametrize("command", _OF_RUNS, ids=lambda command: str(command.name))
def test_every_command_of_a_run_takes_its_name(
    command: click.Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def find(_connections: Connections, run: str) -> str:
        raise _Asked(run)

    monkeypatch.setenv("FRAMEWORK_BROKER_URL", "redis://127.0.0.1:1/0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Connections, "run_id", find)
    done = CliRunner().invoke(command, ["nightly"], standalone_mode=False)
    assert isinstance(done.exception, _Asked), done.output
    assert done.exception.args == ("nightly",)


def test_commands_of_runs_are_all_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # the runs of a folder are completed
    assert {command.name for command in _OF_RUNS} >= {
        *("cancel", "cutover", "failures", "indexes", "pause", "rate", "report", "resume"),
        *("retry", "status", "sync", "verify"),
    }
    completed = {
        command.name
        for command in _OF_RUNS
        for item in command.params
        if item.name == "run_id" and item.shell_complete(click.Context(command), "") == []
    }
    assert completed == {command.name for command in _OF_RUNS}


def _spec(run_id: str) -> RunSpec:
    pair = NamespacePair(source=Namespace("a", "b"), target=Namespace("c", "d"))
    return RunSpec(
        run_id=run_id,
        created_at=datetime.now(UTC),
        batch_size=10,
        source_fingerprint="db:1",
        target_fingerprint="db:2",
        job=MigrationJob(namespaces=(pair,)),
    )


def test_a_name_is_kept_beside_the_spec_of_its_newest_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (_spec(f"mig-20261126-120000-000{number}") for number in (1, 2))
    for spec in (first, second):
        keep_name("nightly", spec)
        keep_spec(spec)
    assert (kept_name(first), kept_name(second)) == (None, "nightly")
    assert load_spec("nightly", None) == second
    assert load_spec(first.run_id, None) == first
    with pytest.raises(UsageError, match="is the spec of"):
        load_spec("nightly", Path(f".dataworks/runs/{first.run_id}.json"))


def test_a_time_series_has_its_own_name_and_not_that_of_its_buckets() -> None:
    pair = NamespacePair(
        source=Namespace("shop", "system.buckets.readings"),
        target=Namespace("copy", "system.buckets.readings"),
    )
    spec = RunSpec(
        run_id="mig-20261126-120000-0001",
        created_at=datetime.now(UTC),
        batch_size=10,
        source_fingerprint="db:1",
        target_fingerprint="db:2",
        job=MigrationJob(namespaces=(pair,)),
    )
    assert shown_name(spec) == "shop.readings -> copy.readings"
    assert dict(described_spec(spec))["collections"] == "shop.readings to copy.readings"
