"""Random walks and seasons: values of a series by position, without the values before it."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.counter_hash import Bits, Floats
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.fields.distributions import standard_normal
from dataworks_tasks.generate.fields.template_node import TemplateNode

_LEVELS = 41
"""A walk has two to this power steps: more than there can be documents."""


@dataclass(frozen=True, slots=True)
class Walk:
    """``start`` plus a walk with steps of standard deviation ``step``, plus a season.

    ``together`` documents share a tick, each with a walk of its own: a hundred sensors.
    """

    start: float
    step: float
    together: int
    every: int
    amplitude: float

    def at(self, rows: Rows, salt: np.uint64) -> Floats:
        """Return the value of every row."""
        together = np.uint64(self.together)
        ticks = rows.indexes // together
        values = np.full(len(rows), self.start)
        if self.step:
            stream = counter_hash.mix((rows.indexes % together) * counter_hash.GOLDEN + salt)
            stream ^= counter_hash.salt("walk", rows.seed)
            values += self.step * _walked(ticks, stream)
        if self.amplitude:
            values += self.amplitude * _wave(ticks % np.uint64(self.every), self.every)
        return values


def _walked(ticks: Bits, stream: Bits) -> Floats:
    """Return a Brownian motion at whole times, by bisection of an interval.

    The middle of an interval is the mean of its ends plus a normal number that the interval's own
    hash selects. So a walk has no state, and neighbors differ by one step.
    """
    normal = standard_normal()
    low = np.zeros(len(ticks))
    high = normal(counter_hash.draw(stream, np.uint64(_LEVELS))) * sqrt(2.0**_LEVELS)
    for level in range(_LEVELS - 1, -1, -1):
        interval = ticks >> np.uint64(level + 1)
        keys = stream + (interval * np.uint64(64) + np.uint64(level)) * counter_hash.GOLDEN
        middle = (low + high) * 0.5 + normal(counter_hash.mix(keys)) * sqrt(2.0 ** (level - 1))
        right = (ticks >> np.uint64(level)) & np.uint64(1) == 1
        low, high = np.where(right, middle, low), np.where(right, high, middle)
    return low


def _wave(ticks: Bits, every: int) -> Floats:
    """Return a sine of period ``every`` by Bhaskara's formula, which is exact on every platform."""
    phase = ticks.astype(np.float64) * (2.0 / every)
    falling = phase >= 1.0
    part = np.where(falling, phase - 1.0, phase)
    hill: Floats = 16.0 * part * (1.0 - part)
    hill /= 5.0 - hill * 0.25
    return np.where(falling, -hill, hill)


def folded(values: Floats, low: float, high: float) -> Floats:
    """Reflect values at the bounds, so that a walk stays between them."""
    span = high - low
    if not span:
        return np.full(len(values), low)
    past = np.mod(values - low, 2 * span)
    return np.clip(low + np.minimum(past, 2 * span - past), low, high)


def read_walk(node: TemplateNode, low: float, high: float) -> Walk | None:
    """``walk``: start (the middle), step, together 1, season {every, amplitude}."""
    inner = node.nested("walk")
    if inner is None:
        return None
    start = inner.number("start", (low + high) / 2, least=low, most=high)
    step = inner.number("step", 1.0, least=0, most=1e100)
    together = inner.integer("together", 1, least=1, most=10**12)
    season = inner.nested("season")
    every, amplitude = 1, 0.0
    if season is not None:
        every = season.integer("every", 0, least=2, most=10**12)
        if not season.has("every"):
            season.refuse("every", "is missing: how many ticks a season has")
            every = 2
        amplitude = season.number("amplitude", (high - low) / 4, least=0, most=1e100)
        season.finish()
    inner.finish()
    return Walk(float(start), float(step), together, every, float(amplitude))
