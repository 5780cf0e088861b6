"""The console that commands print on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from producer.cli.shared.terminal_lines import indent_of, line_starts

_PIPE_COLUMNS = 10_000


class Sentence:
    """Text that is broken between words, and never inside of a command; also in a table's cell."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width that the text needs, and that it likes."""
        return self._text.__rich_measure__(_console, options)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines; a command that is wider than a line is continued on the next one."""
        text = Text("\n").join(_lines(self._text, options.max_width))
        text.no_wrap, text.overflow = options.no_wrap, "fold"
        yield text


def _lines(text: Text, columns: int) -> Iterator[Text]:
    for line in text.split("\n", allow_blank=True):
        spaces = indent_of(line.plain)
        for number, part in enumerate(line.divide(line_starts(line.plain, columns, spaces))):
            part.rstrip()
            yield Text(" " * spaces) + part if number else part


class _SteadyConsole(Console):
    """Never hides the cursor: a command that is killed could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing."""
        return False

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; on a terminal, break sentences between words, and never inside of a command.

        Elsewhere they stay in one piece, even if ``COLUMNS`` says how wide tables are.
        """
        sentence = objects[0] if len(objects) == 1 else None
        if isinstance(sentence, str):
            options["soft_wrap"] = True
        if isinstance(sentence, str) and self.is_terminal:
            text = self.render_str(sentence, markup=options.pop("markup", None))
            super().print(Text("\n").join(_lines(text, self.width)), **options)
        else:
            super().print(*objects, **options)


def create_console(*, stderr: bool = False) -> Console:
    """Create a console as wide as the terminal or ``COLUMNS``; without both, nothing is wrapped."""
    console = _SteadyConsole(stderr=stderr, highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return _SteadyConsole(stderr=stderr, highlight=False, width=_PIPE_COLUMNS)
