"""Where a terminal's lines end: between words, and never inside of a command to be pasted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import IO, Any

_COMMANDS = frozenset({"dataworks", "export", "pip", "pipx"})
_PROSE = frozenset({"a", "again", "and", "for", "if", "in", "of", "on", "or", "says", "to", "with"})
"""Words that are never part of a command: the sentence continues."""
_LEAST_COLUMNS = 20


def broken(text: str, stream: IO[Any] | None, *, indent: int | None = None) -> str:
    """Return the text in lines that fit the terminal of ``stream``; for a file or pipe, unchanged.

    A standard stream that was closed before the start is None.
    A line that continues another one is indented by ``indent``, or like the other one.
    """
    columns = _columns(stream)
    if columns is None:
        return text
    return "\n".join(_broken_line(line, columns, indent) for line in text.split("\n"))


def line_starts(line: str, columns: int, indent: int) -> list[int]:
    """Return where the line has to be continued on another one, which has ``indent`` spaces."""
    starts = []
    begin, used = 0, 0
    for piece in _pieces(line):
        if used > indent and used + len(piece.rstrip()) > columns:
            starts.append(begin)
            used = indent
        begin += len(piece)
        used += len(piece)
    return starts


def indent_of(line: str) -> int:
    """Return the number of spaces that the line begins with."""
    return len(line) - len(line.lstrip(" "))


def _columns(stream: IO[Any] | None) -> int | None:
    if stream is None:
        return None
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # not a terminal, or a stream without a file
        return None
    return columns if columns >= _LEAST_COLUMNS else None


def _broken_line(line: str, columns: int, indent: int | None) -> str:
    spaces = indent_of(line) if indent is None else indent
    bounds = [0, *line_starts(line, columns, spaces), len(line)]
    parts = (line[begin:end] for begin, end in pairwise(bounds))
    return ("\n" + " " * spaces).join(part.rstrip() for part in parts)


def _pieces(line: str) -> Iterator[str]:
    """Yield words with the spaces around them; a command with its arguments is one of them."""
    command = ""
    for word in re.findall(r"\s*\S+\s*", line):
        bare = word.strip().lstrip("(`'\"")
        if command and (bare in _COMMANDS or bare in _PROSE):
            yield command
            command = ""
        if not command and bare not in _COMMANDS:
            yield word
            continue
        command += word
        if word.rstrip()[-1] in ".,;:)":
            yield command
            command = ""
    if command:
        yield command
