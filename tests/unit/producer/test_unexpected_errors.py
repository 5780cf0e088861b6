"""An unexpected error ends a command with one line; --debug prints the traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dataworks_tasks.unexpected import described

_PROGRAM = """
import sys, producer.cli, producer.cli.strategies as strategies
def broken(*_arguments, **_options):
    return {{}}["redis://user:Tr0ub4dor@host/0"]
strategies.command.callback = broken
sys.argv = ["dataworks", *{arguments!r}]
producer.cli.main()
"""


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = _PROGRAM.format(arguments=list(arguments))
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_command_ends_with_one_line() -> None:
    done = _run("strategies")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: an unexpected KeyError: ")
    assert "dataworks --debug strategies" in done.stderr
    assert "Tr0ub4dor" not in done.stderr


def test_debug_prints_the_traceback() -> None:
    done = _run("--debug", "strategies")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("a"), "KeyError: 'a'"),
        (MemoryError(), "MemoryError"),
        (ValueError("two\nlines  and   spaces"), "ValueError: two lines and spaces"),
        (ValueError("at mongodb://u:secret@host/x"), "ValueError: at mongodb://***@host/x"),
    ],
)
def test_an_error_is_described_in_one_line(error: Exception, line: str) -> None:
    assert described(error) == line


def test_the_place_is_named_without_a_path() -> None:
    try:
        raise ValueError("x" * 1000)
    except ValueError as error:
        text = described(error)
    assert "(test_unexpected_errors.py, line " in text
    assert "/" not in text
    assert len(text) < 400
