"""A field of a document: a name, a column, and whether it is there at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Protocol

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Arena, Positions
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Choice, Constant, Fixed, Gather, Pieces, Segment
from dataworks_tasks.generate.batch.values import Mask, Text, Values
from dataworks_tasks.generate.fields.column import NULL, Column, Encoded

LONGEST_ARRAY = 100_000
_ONE_DIGIT = 10
_digits: dict[int, Arena] = {}


class Condition(Protocol):
    """A linked expression that says yes or no by row."""

    def holds(self, rows: Rows) -> Mask:
        """True where it holds."""
        ...

    def fields(self) -> Iterator[Field]:
        """Every field it reads."""
        ...


@dataclass(frozen=True, slots=True)
class Shares:
    """Exact shares of a block of ``block`` documents that are missing, and that are null."""

    block: int
    missing: int
    null: int


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A named column. ``distinct`` bounds how many different values there are (0: no bound)."""

    name: str
    path: str
    column: Column
    shares: Shares | None = None
    condition: Condition | None = None
    distinct: int = 0

    @property
    def always(self) -> bool:
        """Whether every row has a value."""
        return self.shares is None and self.condition is None

    def depends(self) -> Iterator[Field]:
        """The fields its values are made from."""
        yield from self.column.depends()
        if self.condition is not None:
            yield from self.condition.fields()

    def fold(self, rows: Rows) -> Rows:
        """The rows the column is asked for."""
        if not self.distinct:
            return rows
        key = (self, "fold")
        if key not in rows.memo:
            number = rows.indexes % np.uint64(self.distinct)
            if rows.places is not None:
                bits = counter_hash.draw(rows.keys, counter_hash.salt(self.path, "distinct"))
                number = counter_hash.below(bits, self.distinct).view(np.uint64)
            rows.memo[key] = rows.refolded(number)
        folded: Rows = rows.memo[key]
        return folded

    def present(self, rows: Rows) -> Mask | None:
        """Where the field is there, null included; None: everywhere."""
        rank = self._rank(rows)
        mask = None if rank is None or self.shares is None else rank >= self.shares.missing
        if self.condition is not None:
            holds = self.condition.holds(rows)
            mask = holds if mask is None else mask & holds
        return mask

    def values(self, rows: Rows) -> Values | None:
        """The values an expression sees, kept with the rows."""
        if self not in rows.memo:
            values = self.column.values(self.fold(rows))
            if values is not None and not self.always:
                there = self.filled(rows)
                if values.present is not None:
                    there &= values.present
                values = Values(values.kind, values.data, values.text, there)
            rows.memo[self] = values
        kept: Values | None = rows.memo[self]
        return kept

    def text(self, rows: Rows) -> Text | None:
        """The field's value as text."""
        return self.column.text(self.fold(rows))

    def element(self, rows: Rows) -> list[Segment]:
        """Type byte, name and value of every row."""
        present = self.present(rows)
        if present is None:
            return self.there(rows)
        numbers = np.flatnonzero(present)
        pieces = Pieces(self.there(rows.select(numbers)))
        return [Choice(len(rows), [(numbers, pieces)])]

    def there(self, rows: Rows) -> list[Segment]:
        """The elements of rows that are known to have the field."""
        encoded = self._with_nulls(rows)
        code = encoded.type_code
        kind: Segment = Constant(bytes([code])) if isinstance(code, int) else Fixed(code)
        return [kind, *_name(self.name, rows), *encoded.segments]

    def _with_nulls(self, rows: Rows) -> Encoded:
        if self.shares is None or not self.shares.null:
            return self.column.encode(self.fold(rows))
        null = self._null(rows)
        filled = np.flatnonzero(~null)
        encoded = self.column.encode(self.fold(rows).select(filled))
        codes = np.full(len(rows), NULL, np.uint8)
        codes[filled] = encoded.type_code
        return Encoded(codes, [Choice(len(rows), [(filled, Pieces(encoded.segments))])])

    def filled(self, rows: Rows) -> Mask:
        """Where the field is there and not null."""
        present = self.present(rows)
        mask = np.ones(len(rows), np.bool_) if present is None else present.copy()
        if self.shares is not None and self.shares.null:
            mask &= ~self._null(rows)
        return mask

    def _null(self, rows: Rows) -> Mask:
        rank, shares = self._rank(rows), self.shares
        if rank is None or shares is None:
            return np.zeros(len(rows), np.bool_)
        mask: Mask = (rank >= shares.missing) & (rank < shares.missing + shares.null)
        return mask

    def _rank(self, rows: Rows) -> Positions | None:
        """Each row's place in a shuffle of its block: the exact share is what stands first."""
        if self.shares is None:
            return None
        block = np.uint64(self.shares.block)
        keys = (rows.indexes // block) * counter_hash.GOLDEN
        keys += counter_hash.salt(self.path, rows.seed, "share")
        if rows.places is not None:
            keys += rows.places.astype(np.uint64) * np.uint64(0xD1342543DE82EF95)
        bits = counter_hash.mix(keys)
        steps = _steps(self.shares.block)
        step = steps[counter_hash.below(bits, len(steps))]
        rank = (rows.indexes % block) * step + (bits & np.uint64(0xFFFFFFFF))
        return (rank % block).view(np.int64)


@lru_cache(maxsize=64)
def _steps(block: int) -> counter_hash.Bits:
    """Multipliers that permute the numbers below ``block``."""
    return np.array([n for n in range(1, block + 1) if gcd(n, block) == 1], np.uint64)


def _name(name: str, rows: Rows) -> list[Segment]:
    if rows.names is None or name:
        return [Constant(name.encode() + b"\0")]
    return element_name(rows.names)


def element_name(places: Positions) -> list[Segment]:
    """The names of array elements: "0", "1", ..."""
    most = int(places.max(initial=0)) + 1
    if most <= _ONE_DIGIT:
        return [Fixed((places + ord("0")).astype(np.uint8)), Constant(b"\0")]
    size = 1 << (most - 1).bit_length()
    if size not in _digits:
        _digits[size] = Arena(b"%d\0" % number for number in range(size))
    return [Gather(_digits[size], places)]
