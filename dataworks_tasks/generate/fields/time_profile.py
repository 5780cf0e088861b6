"""When things happen: by month, weekday and hour of day, and in bursts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.counter_hash import Bits
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.fields.expression_times import hour, month, weekday
from dataworks_tasks.generate.fields.instants import read_duration
from dataworks_tasks.generate.fields.template_node import TemplateNode

_HOUR = 3_600_000
_MOST_HOURS = 24 * 366 * 100
_KEYS = {"months": 12, "weekdays": 7, "hours": 24}

Milliseconds = NDArray[np.int64]


class Profile:
    """Moments between ``low`` and ``high`` by the weights of their hours, in UTC."""

    def __init__(self, low: int, high: int, weights: dict[str, list[float]]) -> None:
        self._low, self._high = low, max(high - 1, low)
        self._first = low // _HOUR
        hours = np.arange(self._first, self._high // _HOUR + 1) * _HOUR
        each = np.ones(len(hours))
        for key, number in (("months", month), ("weekdays", weekday), ("hours", hour)):
            if weights.get(key):
                index = number(hours) - (key != "hours")
                each *= np.array(weights[key])[index]
        # An hour at either end counts only for the part of it that is inside.
        inside = np.minimum(hours + _HOUR, self._high + 1) - np.maximum(hours, low)
        each *= inside / _HOUR
        passed = np.cumsum(each)
        self.total = float(passed[-1])
        scaled = passed[:-1] / (self.total or 1.0) * 2.0**53
        self._thresholds = np.minimum(scaled, 2.0**53).astype(np.uint64)

    def at(self, bits: Bits, more: Bits) -> Milliseconds:
        """Return an instant per row: ``bits`` selects the hour, ``more`` the time within it."""
        number = np.searchsorted(self._thresholds, bits >> np.uint64(11), side="right")
        start = (number + self._first) * _HOUR
        first = np.maximum(start, self._low)
        room = np.minimum(start + _HOUR, self._high + 1) - first
        part: Milliseconds = (more % room.view(np.uint64)).view(np.int64)
        return first + part


@dataclass(frozen=True, slots=True)
class Bursts:
    """Puts a share of the moments around ``count`` centers, most of them close to one."""

    count: int
    share: float
    width: int
    salt: np.uint64

    def applied(self, moments: Milliseconds, rows: Rows, low: int, high: int) -> Milliseconds:
        """``moments``, with a share of them moved into bursts."""
        draws = [
            counter_hash.draw(rows.keys + counter_hash.nth(number), self.salt)
            for number in range(4)
        ]
        inside = counter_hash.unit(draws[0]) < self.share
        centers = counter_hash.draw(
            np.arange(self.count, dtype=np.uint64) * counter_hash.GOLDEN,
            counter_hash.salt("bursts", rows.seed, int(self.salt)),
        )
        starts = counter_hash.below(centers, max(high - low, 1)) + low
        chosen = starts[counter_hash.below(draws[1], self.count)]
        half = max(self.width // 2, 1)
        away = counter_hash.below(draws[2], half) - counter_hash.below(draws[3], half)
        moved = np.clip(chosen + away, low, max(high - 1, low))
        return np.where(inside, moved, moments)


def read_profile(node: TemplateNode, low: int, high: int) -> Profile | None:
    """``profile``: weights of months (12), weekdays (7, from Monday) and hours (24)."""
    inner = node.nested("profile")
    if inner is None:
        return None
    weights: dict[str, list[float]] = {}
    for key, count in _KEYS.items():
        weights[key] = inner.numbers(key, least=0)
        if weights[key] and len(weights[key]) != count:
            inner.refuse(key, f"needs {count} weights, not {len(weights[key])}")
            weights[key] = []
    inner.finish()
    if (high - low) // _HOUR > _MOST_HOURS:
        node.refuse("profile", "can cover at most a hundred years: give startDate and endDate")
        return None
    profile = Profile(low, high, weights)
    if not profile.total:
        node.refuse("profile", "leaves no hour between startDate and endDate")
        return None
    return profile


def read_bursts(node: TemplateNode, low: int, high: int) -> Bursts | None:
    """``bursts``: count 10, share 20 percent, width a hundredth of the time."""
    inner = node.nested("bursts")
    if inner is None:
        return None
    count = inner.integer("count", 10, least=1, most=100_000)
    share = inner.number("share", 20, least=0, most=100) / 100
    width = read_duration(inner, "width", max((high - low) // 100, 1))
    inner.finish()
    return Bursts(count, share, width, counter_hash.salt(node.path, "bursts"))
