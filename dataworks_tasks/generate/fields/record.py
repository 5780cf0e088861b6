"""Fields in order: a document, or a sub-document."""

from __future__ import annotations

from collections.abc import Iterable

from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant, Segment, total_size
from dataworks_tasks.generate.fields.column import int32
from dataworks_tasks.generate.fields.field import Field


class Record:
    """The fields of a document in their order, and the record it stands in."""

    __slots__ = ("fields", "outer", "through_array")

    def __init__(self, outer: Record | None = None, through_array: bool = False) -> None:
        self.fields: dict[str, Field] = {}
        self.outer = outer
        self.through_array = through_array
        """Whether ``outer``'s rows are the parents of this record's rows, not the same."""

    def add(self, fields: Iterable[Field]) -> None:
        """Append fields."""
        for field in fields:
            self.fields[field.name] = field

    def document(self, rows: Rows) -> list[Segment]:
        """A whole BSON document a row."""
        inner = [segment for field in self.fields.values() for segment in field.element(rows)]
        return [int32(total_size(inner), 5), *inner, Constant(b"\0")]
