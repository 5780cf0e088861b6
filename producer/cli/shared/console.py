"""The console that commands print on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from producer.cli.shared.terminal_lines import indent_of, line_starts

_PIPE_COLUMNS = 10_000


class _SteadyConsole(Console):
    """Never hides the cursor: a command that is killed could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing."""
        return False

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; on a terminal, break sentences between words, and never inside of a command."""
        sentence = objects[0] if len(objects) == 1 else None
        if isinstance(sentence, str) and self.is_terminal:
            text = self.render_str(sentence, markup=options.pop("markup", None))
            options["soft_wrap"] = True
            super().print(Text("\n").join(self._lines(text)), **options)
        else:
            super().print(*objects, **options)

    def _lines(self, text: Text) -> Iterator[Text]:
        for line in text.split("\n", allow_blank=True):
            spaces = indent_of(line.plain)
            for number, part in enumerate(line.divide(line_starts(line.plain, self.width, spaces))):
                part.rstrip()
                yield Text(" " * spaces) + part if number else part


def create_console(*, stderr: bool = False) -> Console:
    """Create a console as wide as the terminal; lines in a pipe or file are not wrapped."""
    console = _SteadyConsole(stderr=stderr, highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return _SteadyConsole(stderr=stderr, highlight=False, width=_PIPE_COLUMNS)
