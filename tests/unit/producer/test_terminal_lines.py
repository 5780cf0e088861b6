"""Lines of a terminal end between words, and a command to be pasted stays in one piece."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

import click
import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dataworks_tasks.errors import UsageError
from producer.cli.shared.console import Sentence, create_console
from producer.cli.shared.error_output import print_error
from producer.cli.shared.terminal_lines import broken

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

_END = "<end>"
_RUN = "gen-20261127-105114-f638"


@contextmanager
def _terminal(columns: int = 80) -> Iterator[tuple[TextIO, Callable[[], str]]]:
    """Open a terminal, and yield it with what returns what was written to it."""
    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(writer, "w") as stream, os.fdopen(reader, "rb") as written:

        def text() -> str:
            stream.write(_END)  # the kernel hands out what was written in pieces
            stream.flush()
            found = b""
            while not found.endswith(_END.encode()):
                found += os.read(written.fileno(), 65536)
            return found.decode().removesuffix(_END).replace("\r\n", "\n")

        yield stream, text


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        (
            f"{_RUN} is paused. Continue with: dataworks resume {_RUN}",
            [f"{_RUN} is paused. Continue with:", f"dataworks resume {_RUN}"],
        ),
        (
            "error: run 'RUN' is not on record in this Redis. List the runs with: dataworks runs. "
            "If Redis lost it: dataworks resume RUN --rebuild",
            [
                "error: run 'RUN' is not on record in this Redis. List the runs with:",
                "dataworks runs. If Redis lost it: dataworks resume RUN --rebuild",
            ],
        ),
        (
            "error: no target database is set. Name one: --target mongodb://HOST, or set "
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING",
            [
                "error: no target database is set. Name one: --target mongodb://HOST, or set",
                "FRAMEWORK_TARGET_DB_CONNECTION_STRING",
            ],
        ),
        (
            "Two rows are different. See why: dataworks status RUN; then type: dataworks cutover "
            "RUN --delay 10 and look at the application",
            [
                "Two rows are different. See why: dataworks status RUN; then type:",
                "dataworks cutover RUN --delay 10 and look at the application",
            ],
        ),
    ],
)
def test_lines_of_eighty_columns_end_between_words(line: str, lines: list[str]) -> None:
    with _terminal() as (stream, _):
        assert broken(line, stream).splitlines() == lines


def test_a_command_longer_than_a_line_is_not_divided() -> None:
    command = f"dataworks resume {_RUN} --source mongodb://one.example/ --target mongodb://b.c/"
    with _terminal(60) as (stream, _):
        assert broken(f"Continue with: {command}", stream) == f"Continue with:\n{command}"


def test_an_assignment_for_a_shell_is_not_divided() -> None:
    url = "'mongodb://127.0.0.1:21547/?replicaSet=globaldb&retrywrites=false'"
    line = f"export FRAMEWORK_TARGET_DB_CONNECTION_STRING={url}"
    with _terminal() as (stream, _):
        assert broken(line, stream) == line
        assert broken(f"Set it first: {line}", stream) == f"Set it first:\n{line}"


def test_continued_lines_are_indented_like_the_first_or_as_asked_for() -> None:
    words = "word " * 20
    with _terminal(40) as (stream, _):
        assert {
            len(line) - len(line.lstrip()) for line in broken("  " + words, stream).split("\n")
        } == {2}
        listed = broken(f"{'name':<8} {words}", stream, indent=9).split("\n")
        assert all(line.startswith(" " * 9 + "word") for line in listed[1:])
        assert all(len(line) <= 40 for line in listed)


def test_a_file_gets_the_line_in_one_piece() -> None:
    assert broken("word " * 40, io.StringIO()) == "word " * 40


def test_the_console_prints_a_command_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with _terminal() as (stream, written):
        console = create_console()
        console.file, console.width = stream, 80
        console.print(f"[bold]{_RUN}[/bold] is paused. Continue with: dataworks resume {_RUN}")
        console.print("[red]a  b[/red]", markup=False)
        assert written() == (
            f"{_RUN} is paused. Continue with:\ndataworks resume {_RUN}\n[red]a  b[/red]\n"
        )


def test_a_sentence_in_a_file_is_not_broken_even_where_tables_have_a_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    console = create_console()
    console.print("[yellow]The disk of " + "/a/long/path" * 20 + " is full.[/yellow]")
    console.print("plain " * 40, style="yellow", markup=False)
    assert console.width == 80
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("kind", [UsageError, click.UsageError])
def test_an_error_ends_its_lines_between_words(
    kind: type[UsageError | click.UsageError], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _terminal() as (stream, written):
        monkeypatch.setattr("sys.stderr", stream)
        print_error(kind("the word " * 30 + "is wrong"), as_json=False)
        lines = written().splitlines()
        assert len(lines) > 3
        assert all(len(line) <= 80 for line in lines)
        assert {word for line in lines for word in line.split()} <= {
            *("error:", "Error:", "the", "word", "is", "wrong")
        }


def test_a_command_in_a_cell_of_a_table_stays_in_one_piece() -> None:
    table = Table.grid(padding=(0, 2))
    found = f"Its history is too long to be read in time. Compare: dataworks verify {_RUN}"
    table.add_row("source", Sentence(Text(found)))
    table.add_row("options", "equal in 3 of 3 collections")
    console = Console(width=66, file=io.StringIO())
    with console.capture() as shown:
        console.print(table)
    assert [line.split("  ", 1)[-1].strip() for line in shown.get().splitlines()] == [
        "Its history is too long to be read in time. Compare:",
        f"dataworks verify {_RUN}",
        "equal in 3 of 3 collections",
    ]
