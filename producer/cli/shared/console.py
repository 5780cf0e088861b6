"""The console that commands print on."""

from __future__ import annotations

import os

from rich.console import Console

_PIPE_COLUMNS = 10_000


class _SteadyConsole(Console):
    """Never hides the cursor: a command that is killed could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing."""
        return False


def create_console(*, stderr: bool = False) -> Console:
    """Create a console as wide as the terminal; lines in a pipe or file are not wrapped."""
    console = _SteadyConsole(stderr=stderr, highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return _SteadyConsole(stderr=stderr, highlight=False, width=_PIPE_COLUMNS)
