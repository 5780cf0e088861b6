"""Resolves the path in an expression: from one record's rows to another field's values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from dataworks_tasks.errors import nearest_or_all
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import Kind, RowMask, Values, both, take
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.model import Column, Field, Record

T = TypeVar("T")


@runtime_checkable
class HoldsRecord(Protocol):
    """A column of sub-documents, on the same rows."""

    inner: Record


@runtime_checkable
class HoldsElements(Protocol):
    """A column of arrays."""

    content: Field

    @property
    def least(self) -> int:
        """How many elements each array has at least."""
        ...

    def elements(self, rows: Rows) -> Rows:
        """Return the rows of all arrays' elements."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A resolved path: out of ``up`` arrays, then down the fields of ``steps``."""

    path: str
    up: int
    steps: tuple[Field, ...]
    array: Field | None
    """The last array on the way, for an aggregate over its elements."""

    @property
    def kind(self) -> Kind | None:
        """What the field at the end holds."""
        return self.steps[-1].column.kind

    def evaluate(self, rows: Rows) -> Values:
        """Return the field's value for every row."""
        if self.up:
            parent, parents = rows.parent_rows()
            outer = Reference(self.path, self.up - 1, self.steps, None).evaluate(parent)
            return take(outer, parents)
        mask: RowMask | None = None
        for field in self.steps[:-1]:
            mask = both(mask, None if field.always else field.filled(rows))
            rows = field.modulo_rows(rows)
        values = linked(self.steps[-1].values(rows))
        return Values(values.kind, values.data, values.text, both(values.present, mask))

    def elements(self, rows: Rows) -> tuple[Rows, Values | None]:
        """Return the rows of the array on the path and the values in them, for an aggregate."""
        mask: RowMask | None = None
        for index, field in enumerate(self.steps):
            mask = both(mask, None if field.always else field.filled(rows))
            rows = field.modulo_rows(rows)
            column = field.column
            if field is self.array and isinstance(column, HoldsElements):
                elements = column.elements(rows)
                values = self._inside(column.content, index, elements)
                return elements, _masked(values, mask, elements)
        raise TypeError(f"there is no array on the path to {self.path}")

    def _inside(self, content: Field, place: int, elements: Rows) -> Values | None:
        rest = self.steps[place + 1 :]
        if not rest:
            return content.values(elements)
        mask = None if content.always else content.filled(elements)
        values = Reference(self.path, 0, rest, None).evaluate(content.modulo_rows(elements))
        return Values(values.kind, values.data, values.text, both(values.present, mask))


def _masked(values: Values | None, mask: RowMask | None, elements: Rows) -> Values | None:
    if mask is None or elements.parents is None:
        return values
    inside = mask[elements.parents]
    if values is None:
        return Values(Kind.BOOLEAN, inside, None, inside)
    return Values(values.kind, values.data, values.text, both(values.present, inside))


def linked(found: T | None) -> T:
    """Return what linking found. Raises TypeError if the template was never linked."""
    if found is None:
        raise TypeError("a template is used before it is linked")
    return found


def resolve(path: str, record: Record) -> Reference:
    """Return the field that ``path`` means in an expression of a field of ``record``.

    The first step is looked up in the record itself, then in the records around it. Raises
    ExpressionError if none has it.
    """
    first, *rest = path.split(".")
    here: Record | None = record
    up = 0
    while here is not None and first not in here.fields:
        up += here.through_array
        here = here.outer
    if here is None:
        raise ExpressionError(f"there is no field {first!r} here. {_known(record)}")
    steps = [here.fields[first]]
    array: Field | None = None
    for step in rest:
        inside, array = _inside(steps[-1], array)
        if inside is None or step not in inside.fields:
            known = nearest_or_all(step, inside.fields if inside else [])
            raise ExpressionError(f"{path}: there is no field {step!r}. {known}")
        steps.append(inside.fields[step])
    if isinstance(steps[-1].column, HoldsElements) and array is None:
        array = steps[-1]
    return Reference(path, up, tuple(steps), array)


def _inside(field: Field, array: Field | None) -> tuple[Record | None, Field | None]:
    column: Column = field.column
    if isinstance(column, HoldsElements):
        if array is not None:
            raise ExpressionError(f"{field.name!r} is an array inside an array")
        array, column = field, column.content.column
    return (column.inner if isinstance(column, HoldsRecord) else None), array


def _known(record: Record) -> str:
    names: list[str] = []
    here: Record | None = record
    while here is not None:
        names += here.fields
        here = here.outer
    return nearest_or_all("", names, limit=20)
