"""Distributions as tables: the same bits wherever they are drawn.

A logarithm may differ in its last bit between C libraries, so quantiles are computed once, rounded
to twelve digits, and only interpolated by column: subtraction, product, sum, each exact by IEEE
754. A table has ``_STEPS`` quantiles; what lies beyond the first and the last (one in 32,768) is
cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from math import exp, log
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch.counter_hash import Bits, Floats
from dataworks_tasks.generate.fields.durations import milliseconds_of
from dataworks_tasks.generate.fields.instants import read_duration, read_instant
from dataworks_tasks.generate.fields.template_node import ABSENT, TemplateNode, as_number, shown
from dataworks_tasks.generate.fields.twelve_digits import round_digits, rounded_table

NAMES = ("uniform", "normal", "lognormal", "exponential", "poisson", "zipf")
_FROM_START = frozenset({"lognormal", "exponential"})
"""Their dates are counted from the first one: a multiple of the time since 1970 means nothing."""
_STEPS = 1 << 14
_RANKS = 1 << 16
_LARGEST = 1e306

Sample = Callable[[Bits], Floats]


class Unit(StrEnum):
    """What the parameters of a distribution can be, besides numbers."""

    NUMBER = "number"
    INSTANT = "instant"  # a mean is a moment, a deviation a duration
    DURATION = "duration"


def read_distribution(
    node: TemplateNode, low: float, high: float, unit: Unit = Unit.NUMBER
) -> Sample | None:
    """Read the distribution under ``distribution``, a name or an object; None: uniform.

    ``low`` and ``high`` are the bounds of the value, from which the defaults are derived.
    """
    value = node.take("distribution")
    if value is ABSENT:
        return None
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict):
        node.refuse("distribution", f"must be a name or an object, not {shown(value)}")
        return None
    inner = TemplateNode(value, f"{node.path}.distribution", node.reader, node.record)
    name = inner.choice("type", "uniform", NAMES)
    if unit is not Unit.NUMBER and name == "poisson":
        inner.refuse("type", "poisson is for counts, and cannot be used for dates and delays")
        return None
    from_start = unit is Unit.INSTANT and name in _FROM_START
    if unit is not Unit.NUMBER:
        _convert(inner, unit, low if from_start else None)
    if from_start:
        sample = _shifted(_READERS[name](inner, 0, high - low), low)
    else:
        sample = _READERS[name](inner, low, high)
    inner.finish()
    return sample


def _shifted(sample: Sample | None, start: float) -> Sample | None:
    return None if sample is None else lambda bits: sample(bits) + start


def _convert(node: TemplateNode, unit: Unit, start: float | None) -> None:
    """Turn moments and durations into the milliseconds that numbers mean there.

    ``start`` is where the distribution of a date counts from, unless that is 1970.
    """
    for key in ("mean", "median", "stdDev", "sigma"):
        value = node.peek(key)
        if not isinstance(value, str) or as_number(value) is not None:
            continue
        moment = unit is Unit.INSTANT and key in {"mean", "median"}
        if moment and (start is None or milliseconds_of(value) is None):
            node.put(key, read_instant(node, key, "") - (start or 0))
        else:
            node.put(key, read_duration(node, key, 0))


def standard_normal() -> Sample:
    """Return a sampler of normal numbers with mean 0 and standard deviation 1."""
    return _interpolate(_standard_normal())


def weighted(weights: list[float]) -> Callable[[Bits], NDArray[np.int64]]:
    """Draws numbers with the given weights: thresholds on 53-bit integers."""
    thresholds = _thresholds(weights)
    return lambda bits: np.searchsorted(thresholds, bits >> np.uint64(11), side="right")


def _thresholds(weights: list[float]) -> NDArray[np.uint64]:
    total, passed, bounds = sum(weights), 0.0, []
    for weight in weights[:-1]:
        passed += weight
        bounds.append(min(int(passed / total * 2**53), 2**53))
    return np.array(bounds, np.uint64)


def _interpolate(table: Floats) -> Sample:
    steps = table[1:] - table[:-1]

    def sample(bits: Bits) -> Floats:
        place = (bits >> np.uint64(11)) * ((len(table) - 1) * 2.0**-53)
        number = np.minimum(place.astype(np.int64), len(steps) - 1)
        part: Floats = (place - number) * steps[number]
        part += table[number]
        return part

    return sample


def _finite(table: Floats) -> Floats:
    """Cut to the range in which the difference of neighbors is finite."""
    return np.clip(table, -_LARGEST, _LARGEST)


_SHARES = (np.arange(_STEPS) + 0.5) / _STEPS


@lru_cache(maxsize=1)
def _standard_normal() -> Floats:
    low = np.array([*map(NormalDist().inv_cdf, _SHARES[: _STEPS // 2].tolist())])
    low = rounded_table(low, lambda step: float(low[step]))
    return np.concatenate((low, -low[::-1]))  # it is symmetric, and 1 - p is exact here


@lru_cache(maxsize=64)
def _standard_lognormal(sigma: float) -> Floats:
    powers = sigma * _standard_normal()
    return rounded_table(np.exp(powers), lambda step: exp(float(powers[step])))


@lru_cache(maxsize=1)
def _standard_exponential() -> Floats:
    return rounded_table(-np.log(1 - _SHARES), lambda step: -log(1 - float(_SHARES[step])))


def _read_normal(node: TemplateNode, low: float, high: float) -> Sample:
    mean = node.number("mean", (low + high) / 2)
    deviation = node.number("stdDev", (high - low) / 6, "sigma", least=0)
    return _interpolate(_finite(_standard_normal() * deviation + mean))


def _read_lognormal(node: TemplateNode, low: float, high: float) -> Sample:
    median = node.number("median", max((low + high) / 2, 1), least=0)
    sigma = node.number("sigma", 0.5, least=0, most=20)
    with np.errstate(over="ignore"):
        return _interpolate(_finite(_standard_lognormal(sigma) * median))


def _read_exponential(node: TemplateNode, low: float, high: float) -> Sample:
    mean = node.number("mean", max((high - low) / 5, 1e-9), least=0)
    return _interpolate(_finite(_standard_exponential() * mean + low))


def _read_poisson(node: TemplateNode, low: float, high: float) -> Sample:
    mean = node.number("mean", max(min((low + high) / 2, 10), 0.1), least=0, most=500)
    weights, chance, number = [], exp(-mean), 0
    while number <= mean or chance > 1e-18:
        weights.append(round_digits(chance))
        number += 1
        chance *= mean / number
    choose = weighted(weights)
    return lambda bits: choose(bits).astype(np.float64)


def _read_zipf(node: TemplateNode, low: float, high: float) -> Sample:
    exponent = node.number("exponent", 1.1, "s", least=0, most=20)
    return zipf(exponent, int(min(high - low, 2**62)) + 1, low)


def zipf(exponent: float, count: int, low: float = 0.0) -> Sample:
    """Ranks from ``low`` on with weights 1, 1/2**s, 1/3**s, ...

    Exact for the first 65,536 ranks; the tail beyond them is drawn from its integral.
    """
    weights = _zipf_weights(exponent, min(count, _RANKS))
    if count <= _RANKS:
        choose = weighted(weights)
        return lambda bits: np.asarray(choose(bits) + low, np.float64)
    head = weighted([*weights, _tail_weight(exponent, count)])
    tail = _interpolate(
        np.array([_tail_rank(exponent, count, step / 1024) for step in range(1025)])
    )

    def sample(bits: Bits) -> Floats:
        ranks = head(bits).astype(np.float64)
        beyond = np.flatnonzero(ranks >= _RANKS)
        ranks[beyond] = np.floor(tail(bits[beyond] * np.uint64(0x9E3779B97F4A7C15)))
        return ranks + low

    return sample


@lru_cache(maxsize=64)
def _zipf_weights(exponent: float, count: int) -> list[float]:
    ranks = np.arange(1.0, count + 1)
    weights = rounded_table(ranks**-exponent, lambda step: float(ranks[step]) ** -exponent)
    return [*map(float, weights)]


def _tail_weight(exponent: float, count: int) -> float:
    if abs(exponent - 1) < 1e-9:
        return round_digits(log(count / _RANKS))
    power = 1 - exponent
    return round_digits((float(count) ** power - float(_RANKS) ** power) / power)


def _tail_rank(exponent: float, count: int, share: float) -> float:
    if abs(exponent - 1) < 1e-9:
        return round_digits(_RANKS * (count / _RANKS) ** share)
    power = 1 - exponent
    first, last = float(_RANKS) ** power, float(count) ** power
    passed = first + share * (last - first)
    return min(
        round_digits(passed ** (1 / power)) if passed else float(count - 1), float(count - 1)
    )


def _uniform(_node: TemplateNode, _low: float, _high: float) -> None:
    return None


_READERS: dict[str, Callable[[TemplateNode, float, float], Sample | None]] = {
    "uniform": _uniform,
    "normal": _read_normal,
    "lognormal": _read_lognormal,
    "exponential": _read_exponential,
    "poisson": _read_poisson,
    "zipf": _read_zipf,
}
