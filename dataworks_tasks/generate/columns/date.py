"""``date``: between two instants, after another date, or a time series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.documents.bson_types import DATE
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Fixed
from dataworks_tasks.generate.batch.values import Kind, Text, Values, decoded_text
from dataworks_tasks.generate.fields.distributions import Sample, Unit, read_distribution
from dataworks_tasks.generate.fields.durations import UNITS
from dataworks_tasks.generate.fields.encoded import Encoded, encode_present
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.instants import read_duration, read_instant
from dataworks_tasks.generate.fields.model import Column, Field, Linker
from dataworks_tasks.generate.fields.numbers import LONG_LIMIT, whole_within
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.scope import Reference, linked, resolve
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.time_profile import (
    Bursts,
    Profile,
    read_bursts,
    read_profile,
)
from dataworks_tasks.generate.fields.variety import Variety


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Milliseconds from ``low`` up to but not ``high``."""

    low: int
    high: int

    def at(self, bits: counter_hash.Bits, sample: Sample | None) -> NDArray[np.int64]:
        """Return a number of milliseconds for each row."""
        if sample is not None:
            return whole_within(sample(bits), self.low, max(self.high - 1, self.low))
        return counter_hash.below(bits, max(self.high - self.low, 1)) + self.low


class DateColumn(Column):
    """Milliseconds since 1970, as int64."""

    kind = Kind.DATE

    def __init__(self, path: str, span: TimeSpan, sample: Sample | None = None) -> None:
        self._span = span
        self._sample = sample
        self._salt = counter_hash.salt(path)
        self.profile: Profile | None = None
        self.bursts: Bursts | None = None

    def values(self, rows: Rows) -> Values:
        if self not in rows.memo:
            rows.memo[self] = self._drawn(rows)
        kept: Values = rows.memo[self]
        return kept

    def _drawn(self, rows: Rows) -> Values:
        bits = self._bits(rows)
        if self.profile is not None:
            moments = self.profile.at(bits, counter_hash.mix(bits + counter_hash.GOLDEN))
        else:
            moments = self._span.at(bits, self._sample)
        if self.bursts is not None:
            moments = self.bursts.applied(moments, rows, self._span.low, self._span.high)
        return Values(Kind.DATE, moments)

    def _bits(self, rows: Rows) -> counter_hash.Bits:
        return counter_hash.draw(rows.keys, self._salt)

    def variety(self) -> Variety | None:
        return Variety.among(self._span.high - self._span.low)

    def encode(self, rows: Rows) -> Encoded:
        return encode_present(self.values(rows), _encode_dates)

    def text(self, rows: Rows) -> Text:
        return decoded_text(self.values(rows))


def _encode_dates(values: Values) -> Encoded:
    return Encoded(DATE, [Fixed(values.data.astype("<i8", copy=False))])


class DateAfterColumn(DateColumn):
    """Another date of the document plus a delay."""

    def __init__(self, path: str, after: str, span: TimeSpan, sample: Sample | None) -> None:
        super().__init__(path, span, sample)
        self._after = after
        self._reference: Reference | None = None

    def link(self, linker: Linker) -> None:
        try:
            self._reference = resolve(self._after, linker.record)
        except ExpressionError as error:
            linker.refuse("after", str(error))
            return
        if self._reference.kind is not Kind.DATE or self._reference.array is not None:
            linker.refuse("after", f"{self._after!r} is not a date")

    def variety(self) -> Variety | None:
        return None

    def depends(self) -> Iterator[Field]:
        if self._reference is not None:
            yield from self._reference.steps

    def _drawn(self, rows: Rows) -> Values:
        start = linked(self._reference).evaluate(rows)
        delay = self._span.at(self._bits(rows), self._sample)
        # Where the earlier date is missing there is nothing to wait for: count from 1970.
        data = start.data if start.present is None else np.where(start.present, start.data, 0)
        return Values(Kind.DATE, data + delay, None, start.present)


@dataclass(frozen=True, slots=True)
class Ticks:
    """A time series: ``together`` documents share a tick, each off by up to ``jitter`` ms."""

    start: int
    step: int
    jitter: int
    together: int


class SeriesColumn(DateColumn):
    """start + step * number of the document, with jitter."""

    def __init__(self, path: str, ticks: Ticks) -> None:
        super().__init__(path, TimeSpan(0, ticks.jitter))
        self._ticks = ticks
        self.unique = ticks.jitter == 0 and ticks.together == 1 and ticks.step > 0

    def variety(self) -> Variety | None:
        return Variety.never_repeats(self.capacity()) if self.unique else None

    def capacity(self) -> int | None:
        ticks = self._ticks
        if not ticks.step:
            return None
        return ((LONG_LIMIT - ticks.jitter - ticks.start) // ticks.step + 1) * ticks.together

    def _drawn(self, rows: Rows) -> Values:
        ticks = self._ticks
        number = (rows.ordinals // np.uint64(ticks.together)).view(np.int64)
        data = number * ticks.step + ticks.start
        if ticks.jitter:
            data += self._span.at(self._bits(rows), None)
        return Values(Kind.DATE, data)


@column_type("date", "datetime")
def read_date(node: TemplateNode) -> Column:
    """Type date: startDate, endDate (excluded), profile, bursts; or after and delay; or series."""
    after = node.text("after", "")
    delay = node.nested("delay")
    series = node.nested("series")
    start = read_instant(node, "startDate", "2000-01-01T00:00:00Z")
    end = read_instant(node, "endDate", "2030-01-01T00:00:00Z")
    profile = read_profile(node, start, max(end, start + 1))
    bursts = read_bursts(node, start, end)
    if (profile or bursts) and (series is not None or after):
        node.refuse("profile" if profile else "bursts", "applies only to startDate and endDate")
    if profile is not None and node.has("distribution"):
        node.refuse("profile", "cannot be combined with a distribution")
    if series is not None:
        return _read_series(node, series, start)
    if after:
        return _read_after(node, after, delay)
    if delay is not None:
        node.refuse("delay", "needs after, the date it counts from")
    if end < start:
        node.refuse("endDate", "is earlier than startDate")
    sample = read_distribution(node, start, end, Unit.INSTANT)
    column = DateColumn(node.path, TimeSpan(start, end), sample)
    column.profile, column.bursts = profile, bursts
    return column


def _read_after(node: TemplateNode, after: str, delay: TemplateNode | None) -> Column:
    span, sample = TimeSpan(0, UNITS["d"]), None
    if delay is not None:
        low = read_duration(delay, "min", 0)
        high = read_duration(delay, "max", max(low, UNITS["d"]))
        if high < low:
            delay.refuse("max", "is shorter than min")
        span = TimeSpan(low, high + 1)
        sample = read_distribution(delay, low, high, Unit.DURATION)
        delay.finish()
    return DateAfterColumn(node.path, after, span, sample)


def _read_series(node: TemplateNode, series: TemplateNode, default: int) -> Column:
    start = default
    if series.has("start"):
        start = read_instant(series, "start", "2000-01-01T00:00:00Z")
    else:
        series.take("start")
    step = read_duration(series, "step", 1000)
    jitter = read_duration(series, "jitter", 0)
    together = series.integer("together", 1, least=1, most=10**12)
    series.finish()
    return SeriesColumn(node.path, Ticks(start, step, jitter, together))
