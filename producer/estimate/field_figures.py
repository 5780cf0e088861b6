"""Statistics of the fields of generated documents: shares, sizes, values, distributions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import bson
import numpy as np
from bson import Decimal128
from bson.datetime_ms import DatetimeMS

from dataworks_tasks.documents.raw_bson import TOLERANT

MOST_VALUES = 100_000
"""Different values that are counted; beyond them a field simply has many."""
_BINS = 24
_BARS = " ▁▂▃▄▅▆▇█"
_FEW = 6
_LONGEST_VALUE = 24
_OPTIONS = TOLERANT.with_options(tz_aware=False)


@dataclass(slots=True)
class FieldFigures:
    """One field of a sample, by its path; ``[]`` means the elements of an array."""

    path: str
    seen: int = 0
    nulls: int = 0
    documents: int = 0
    """How many documents have the field; for elements of arrays the same as ``seen``."""
    value_bytes: int = 0
    types: Counter[str] = field(default_factory=Counter)
    values: Counter[Any] = field(default_factory=Counter)
    numbers: list[float] = field(default_factory=list)

    def add(self, value: Any, size: int) -> None:
        """Count one value of ``size`` bytes."""
        self.seen += 1
        self.value_bytes += size
        self.types[_type_name(value)] += 1
        if value is None:
            self.nulls += 1
            return
        number = _number(value)
        if number is not None:
            self.numbers.append(number)
        if isinstance(value, DatetimeMS):
            value = np.datetime64(int(value), "ms")
        key = value if isinstance(value, str | int | float | bool | bytes) else str(value)
        if key in self.values or len(self.values) < MOST_VALUES:
            self.values[key] += 1

    @property
    def distinct(self) -> int:
        """How many different values were seen, null not counted."""
        return len(self.values)

    @property
    def mean_bytes(self) -> float:
        """Mean size of the value in BSON, without type and name."""
        return self.value_bytes / self.seen if self.seen else 0.0

    def histogram(self) -> str:
        """Return numbers or dates as a row of bars from the least to the largest."""
        if len(self.numbers) < 2 or self.distinct <= _FEW:
            return ""
        low, high = min(self.numbers), max(self.numbers)
        if low == high or high - low == float("inf"):
            return ""
        bins = _BINS
        if self.types["int"] + self.types["long"] == self.seen:
            # Each bar covers equally many numbers, or the bars would show the rounding.
            each = -(-int(high - low + 1) // _BINS)
            bins = -(-int(high - low + 1) // each)
            high = low + bins * each
        counts = [0] * bins
        for number in self.numbers:
            counts[min(int((number - low) / (high - low) * bins), bins - 1)] += 1
        most = max(counts)
        return "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in counts)

    def described(self) -> str:
        """Describe the values briefly: shares of few, or the range of many."""
        if not self.values:
            return ""
        if self.distinct <= _FEW:
            total = sum(self.values.values())
            return ", ".join(
                f"{_shown(value)} {count / total:.0%}" for value, count in self.values.most_common()
            )
        if self.numbers:
            dates = self.types.most_common(1)[0][0] == "date"
            low, high = (_as_date(n) if dates else f"{n:.6g}" for n in self._range())
            return f"{low} to {high}"
        return f"{_shown(next(iter(self.values)))}, ..."

    def _range(self) -> tuple[float, float]:
        return min(self.numbers), max(self.numbers)

    def as_json(self, documents: int) -> Mapping[str, Any]:
        """Field names and values for machines."""
        return {
            "path": self.path,
            "types": dict(self.types),
            "present": self.documents / documents if documents else 0.0,
            "null": self.nulls / self.seen if self.seen else 0.0,
            "distinct": self.distinct,
            "mean_bytes": round(self.mean_bytes, 1),
            "values": self.described(),
            "histogram": self.histogram(),
        }


def field_figures(documents: Sequence[bytes]) -> list[FieldFigures]:
    """Return the figures of every field in ``documents``, in order of first occurrence."""
    found: dict[str, FieldFigures] = {}
    for document in documents:
        counted: set[str] = set()
        for path, value, size in _fields(bson.decode(document, _OPTIONS), ""):
            figures = found.get(path)
            if figures is None:
                figures = found[path] = FieldFigures(path)
            figures.add(value, size)
            if path not in counted:
                counted.add(path)
                figures.documents += 1
    return list(found.values())


def _fields(document: Mapping[str, Any], around: str) -> Iterator[tuple[str, Any, int]]:
    for name, value in document.items():
        yield from _values(value, f"{around}{name}")


def _values(value: Any, path: str) -> Iterator[tuple[str, Any, int]]:
    if isinstance(value, dict):
        yield from _fields(value, f"{path}.")
    elif isinstance(value, list):
        yield f"{path}[].length", len(value), 0
        for element in value:
            yield from _values(element, f"{path}[]")
    else:
        yield path, value, len(bson.encode({"": value})) - 7


def _number(value: Any) -> float | None:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).timestamp()
    if isinstance(value, DatetimeMS):  # a date that Python's own class does not reach
        return int(value) / 1000
    if isinstance(value, Decimal128):
        return float(value.to_decimal())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None


def _type_name(value: Any) -> str:
    names = {
        type(None): "null", bool: "boolean", int: "int", float: "double", str: "string",
        bytes: "binary", datetime: "date", DatetimeMS: "date", bson.Int64: "long",
        Decimal128: "decimal", bson.ObjectId: "objectId", bson.Binary: "binary",
    }  # fmt: skip
    return names.get(type(value), type(value).__name__.lower())


def _as_date(seconds: float) -> str:
    return str(np.datetime64(math.floor(seconds), "s").astype("datetime64[D]"))


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
