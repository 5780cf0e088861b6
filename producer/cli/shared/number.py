"""A number with decimals, whose bounds are named in words."""

from __future__ import annotations

import math
from typing import Any

import click

from dataworks_tasks.numerals import plain


class Number(click.ParamType[float]):
    """A number of at least ``least`` and at most ``most``; ``above``: more than ``least``."""

    name = "number"

    def __init__(self, least: float, most: float = math.inf, *, above: bool = False) -> None:
        self._least = least
        self._most = most
        self._above = above

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse a finite number."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number such as 2 or 0.5", param, ctx)
        is_low = number <= self._least if self._above else number < self._least
        if is_low or number > self._most:
            self.fail(f"must be {self._bounds()}, not {value!r}", param, ctx)
        return number

    def _bounds(self) -> str:
        least = plain(self._least)
        if self._above:
            return f"more than {least}"
        if self._most == math.inf:
            return f"{least} or more"
        return f"between {least} and {plain(self._most)}"
