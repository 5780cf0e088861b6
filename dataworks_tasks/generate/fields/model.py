"""The recursive model of a template's documents: a record has fields, a field has a column.

A column makes the values of one field for any rows, by position and never by state. Columns of
sub-documents and arrays hold records and fields again, which is why all of it is one file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dataworks_tasks.documents.bson_types import NULL
from dataworks_tasks.errors import Finding
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Arena, Positions
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import (
    Choice,
    Constant,
    Fixed,
    Gather,
    Layout,
    Segment,
    total_size,
)
from dataworks_tasks.generate.batch.values import Kind, RowMask, Text, Values, both
from dataworks_tasks.generate.fields.encoded import Encoded, int32
from dataworks_tasks.generate.fields.shares import Shares
from dataworks_tasks.generate.fields.variety import Variety

LONGEST_ARRAY = 100_000
_ONE_DIGIT = 10
_digits: dict[int, Arena] = {}


class Column(ABC):
    """Makes the values of one field."""

    kind: Kind | None = None
    """What an expression can do with the values; None if it cannot use them."""
    unique = False
    """Whether no two documents can have the same value: what an ``_id`` needs."""

    @property
    def optional(self) -> bool:
        """Whether the column itself leaves some rows without a value."""
        return False

    def present(self, rows: Rows) -> RowMask | None:
        """Return where an optional column has a value; None: everywhere."""
        return None

    @abstractmethod
    def encode(self, rows: Rows) -> Encoded:
        """Encode the BSON value of every row."""

    def values(self, rows: Rows) -> Values | None:
        """Return the values as expressions see them; None for a type that they cannot use."""
        return None

    def text(self, rows: Rows) -> Text | None:
        """Return the values as text, for joining; None for a type that has no text."""
        return None

    def link(self, linker: Linker) -> None:  # noqa: B027 - most have nothing to look up
        """Look up the fields that this one is made from, once the complete template is read."""

    def depends(self) -> Iterator[Field]:
        """Yield the fields that the values are computed from."""
        yield from ()

    def nested(self) -> Iterator[Field]:
        """Yield the fields of a sub-document, or of an array's elements."""
        yield from ()

    def most_elements(self) -> int:
        """Return the longest possible array for a column of arrays; 1 for any other."""
        return 1

    def capacity(self) -> int | None:
        """Return how many different values there are, if they must differ; None: unlimited."""
        return None

    def variety(self) -> Variety | None:
        """Return how often values repeat from document to document; None if unknown.

        The default is that of ``unique`` columns.
        """
        return Variety.never_repeats(self.capacity()) if self.unique else None


class Condition(Protocol):
    """A linked expression that says yes or no by row."""

    def holds(self, rows: Rows) -> RowMask:
        """Return for every row whether the condition holds."""
        ...

    def fields(self) -> Iterator[Field]:
        """Every field it reads."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A named column. ``distinct`` bounds how many different values there are (0: no bound)."""

    name: str
    path: str
    column: Column
    shares: Shares | None = None
    condition: Condition | None = None
    distinct: int = 0
    hidden: bool = False
    """Whether only expressions use it, and it is not written."""

    @property
    def always(self) -> bool:
        """Whether every row has a value."""
        return self.shares is None and self.condition is None and not self.column.optional

    def variety(self) -> Variety | None:
        """Return how often values repeat in documents that have the field; see Column."""
        variety = self.column.variety()
        if not self.distinct:
            return variety
        period = min(self.distinct, variety.period if variety else 1)
        return Variety(max(1 / self.distinct, variety.chance if variety else 0), period)

    def depends(self) -> Iterator[Field]:
        """Yield the fields that the values are computed from."""
        yield from self.column.depends()
        if self.condition is not None:
            yield from self.condition.fields()

    def modulo_rows(self, rows: Rows) -> Rows:
        """Return the rows that the column is asked for."""
        if not self.distinct:
            return rows
        key = (self, "modulo_rows")
        if key not in rows.memo:
            number = rows.indexes % np.uint64(self.distinct)
            if rows.array_indexes is not None:
                bits = counter_hash.draw(rows.keys, counter_hash.salt(self.path, "distinct"))
                number = counter_hash.below(bits, self.distinct).view(np.uint64)
            rows.memo[key] = rows.for_documents(number)
        folded: Rows = rows.memo[key]
        return folded

    def present(self, rows: Rows) -> RowMask | None:
        """Return where the field is present, null included; None: everywhere."""
        mask: RowMask | None = None
        if self.shares is not None:
            mask = self.shares.ranks(self.path, rows) >= self.shares.missing
        if self.condition is not None:
            holds = self.condition.holds(rows)
            mask = holds if mask is None else mask & holds
        if self.column.optional:
            mask = both(mask, self.column.present(self.modulo_rows(rows)))
        return mask

    def values(self, rows: Rows) -> Values | None:
        """Return the values as expressions see them, cached with the rows."""
        if self not in rows.memo:
            values = self.column.values(self.modulo_rows(rows))
            if values is not None and not self.always:
                there = self.filled(rows)
                if values.present is not None:
                    there &= values.present
                values = Values(values.kind, values.data, values.text, there)
            rows.memo[self] = values
        kept: Values | None = rows.memo[self]
        return kept

    def text(self, rows: Rows) -> Text | None:
        """Return the field's values as text."""
        return self.column.text(self.modulo_rows(rows))

    def element(self, rows: Rows) -> list[Segment]:
        """Type byte, name and value of every row."""
        present = self.present(rows)
        if present is None:
            return self.there(rows)
        numbers = np.flatnonzero(present)
        layout = Layout(self.there(rows.select(numbers)))
        return [Choice(len(rows), [(numbers, layout)])]

    def there(self, rows: Rows) -> list[Segment]:
        """Return the elements of rows that are known to have the field."""
        encoded = self.encoded(rows)
        code = encoded.type_code
        kind: Segment = Constant(bytes([code])) if isinstance(code, int) else Fixed(code)
        return [kind, *_name(self.name, rows), *encoded.segments]

    def encoded(self, rows: Rows) -> Encoded:
        """Return the values of rows that are known to have the field, null included."""
        if self.shares is None or not self.shares.null:
            return self.column.encode(self.modulo_rows(rows))
        null = self._null(rows)
        filled = np.flatnonzero(~null)
        encoded = self.column.encode(self.modulo_rows(rows).select(filled))
        codes = np.full(len(rows), NULL, np.uint8)
        codes[filled] = encoded.type_code
        return Encoded(codes, [Choice(len(rows), [(filled, Layout(encoded.segments))])])

    def filled(self, rows: Rows) -> RowMask:
        """Return where the field is present and not null."""
        present = self.present(rows)
        mask = np.ones(len(rows), np.bool_) if present is None else present.copy()
        if self.shares is not None and self.shares.null:
            mask &= ~self._null(rows)
        return mask

    def _null(self, rows: Rows) -> RowMask:
        shares = self.shares
        if shares is None:
            return np.zeros(len(rows), np.bool_)
        rank = shares.ranks(self.path, rows)
        mask: RowMask = (rank >= shares.missing) & (rank < shares.missing + shares.null)
        return mask


class Record:
    """The fields of a document in their order, and the record that contains it."""

    __slots__ = ("fields", "longest", "outer", "rows_of", "through_array")

    def __init__(
        self,
        outer: Record | None = None,
        longest: int | None = None,
        rows_of: tuple[object, ...] | None = None,
    ) -> None:
        self.fields: dict[str, Field] = {}
        self.outer = outer
        self.through_array = longest is not None
        """Whether ``outer``'s rows are the parents of this record's rows, not the same rows."""
        self.longest: int | None = (
            longest if longest is not None else outer.longest if outer else None
        )
        """The most elements of the array around these fields; None if there is no array."""
        around: tuple[object, ...] = outer.rows_of if outer else ()
        own = (*around, "[]") if self.through_array else around
        self.rows_of: tuple[object, ...] = own if rows_of is None else rows_of
        """Equal for records whose rows have the same keys."""

    def add(self, fields: Iterable[Field]) -> None:
        """Append fields."""
        for field in fields:
            self.fields[field.name] = field

    def document(self, rows: Rows) -> list[Segment]:
        """Return a complete BSON document for each row."""
        written = [field for field in self.fields.values() if not field.hidden]
        inner = [segment for field in written for segment in field.element(rows)]
        return [int32(total_size(inner), 5), *inner, Constant(b"\0")]


@dataclass(frozen=True, slots=True)
class Target:
    """A collection that a reference can point to; ``count`` is None if it is not given."""

    name: str
    record: Record
    count: int | None


@dataclass(frozen=True, slots=True)
class Linker:
    """What one column sees while it is linked."""

    path: str
    record: Record
    targets: Mapping[str, Target]
    findings: list[Finding]

    def refuse(self, key: str, problem: str) -> None:
        """Record a finding."""
        self.findings.append(Finding(f"{self.path}.{key}", problem))


def _name(name: str, rows: Rows) -> list[Segment]:
    if rows.names is None or name:
        return [Constant(name.encode() + b"\0")]
    return element_name(rows.names)


def element_name(places: Positions) -> list[Segment]:
    """Return the names of array elements: "0", "1", ..."""
    most = int(places.max(initial=0)) + 1
    if most <= _ONE_DIGIT:
        return [Fixed((places + ord("0")).astype(np.uint8)), Constant(b"\0")]
    size = 1 << (most - 1).bit_length()
    if size not in _digits:
        _digits[size] = Arena(b"%d\0" % number for number in range(size))
    return [Gather(_digits[size], places)]
