"""``reference``: the value of another document, computed again instead of remembered."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import RowMask, Text, Values, both
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.expression import Expression
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.groups import ValueSet, group_of
from dataworks_tasks.generate.fields.model import Column, Field, Linker, Record
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.scope import Reference, linked, resolve
from dataworks_tasks.generate.fields.target_draw import WAYS, TargetDraw
from dataworks_tasks.generate.fields.template_node import ABSENT, TemplateNode
from dataworks_tasks.generate.fields.variety import Variety


class ReferenceColumn(Column):
    """A field of a document of another collection; absent if that document does not have it.

    References of one ``group`` point to the same document, so several of its fields can be copied.
    """

    def __init__(self, draw: TargetDraw, target: str, field: str) -> None:
        self._draw, self._target, self._field = draw, target, field
        self._reference: Reference | None = None

    @property
    def unique(self) -> bool:  # type: ignore[override]
        steps = self._reference.steps if self._reference else ()
        return (
            self._draw.is_drawn("oneToOne")
            and bool(steps)
            and all(step.always and not step.distinct for step in steps)
            and steps[-1].column.unique
        )

    @property
    def optional(self) -> bool:
        steps = self._reference.steps if self._reference else ()
        return self._draw.optional or not all(step.always for step in steps)

    def link(self, linker: Linker) -> None:
        target = linker.targets.get(self._target)
        if target is None:
            known = ", ".join(sorted(linker.targets)) or "none"
            linker.refuse("to", f"there is no collection {self._target!r}; known: {known}")
            return
        if not target.count:
            linker.refuse("to", f"{self._target!r} needs a count, to draw its documents from")
            return
        try:
            self._reference = resolve(self._field, target.record)
        except ExpressionError as error:
            linker.refuse("field", str(error))
            return
        if self._reference.array is not None:
            linker.refuse("field", f"{self._field!r} is an array, or is inside one")
        self.kind = self._reference.kind
        self._draw.link(linker, target.count)

    def capacity(self) -> int | None:
        return self._draw.count if self._draw.is_drawn("oneToOne") else None

    def variety(self) -> Variety | None:
        if self._reference is None or self._draw.by is not None:
            return None
        copied = self._reference.steps[-1].variety()
        if self._draw.is_drawn("inTurn") or self._draw.is_drawn("oneToOne"):
            period = min(self._draw.count, copied.period) if copied else 1
            return Variety(1 / self._draw.count, period) if copied else None
        return Variety(max(1 / self._draw.count, copied.chance if copied else 0))

    def depends(self) -> Iterator[Field]:
        yield from self._draw.depends()
        if self._reference is not None:
            yield from self._reference.steps

    def _others(self, rows: Rows) -> tuple[Field, Rows]:
        others = self._draw.documents(rows)
        *objects, last = linked(self._reference).steps
        for step in objects:
            others = step.modulo_rows(others)
        return last, others

    def present(self, rows: Rows) -> RowMask | None:
        mask = self._draw.present(rows)
        others = self._draw.documents(rows)
        *objects, last = linked(self._reference).steps
        for step in objects:
            mask = both(mask, None if step.always else step.filled(others))
            others = step.modulo_rows(others)
        return both(mask, last.present(others))

    def encode(self, rows: Rows) -> Encoded:
        field, others = self._others(rows)
        return field.encoded(others)

    def values(self, rows: Rows) -> Values | None:
        field, others = self._others(rows)
        return field.values(others)

    def text(self, rows: Rows) -> Text | None:
        field, others = self._others(rows)
        return field.text(others)


class Shared:
    """mgodatagen's values by id: one for each document of the collection that defines them."""

    def __init__(self) -> None:
        self.field: Field | None = None
        self.content: object = None
        self.collection = ""
        self.count = 1


class SharedColumn(Column):
    """The values of an id in turn, from the first one on, in any field and collection."""

    def __init__(self, shared: Shared, shared_id: str) -> None:
        self._shared, self._id = shared, shared_id

    @property
    def unique(self) -> bool:  # type: ignore[override]
        field = self._shared.field
        return field is not None and field.column.unique and not field.distinct

    def link(self, linker: Linker) -> None:
        field = self._shared.field
        if field is None:
            if self._id:  # otherwise the template was already refused
                missing = f"is missing, and no other field defines id {self._id!r}"
                linker.refuse("refContent", missing)
            return
        self.kind = field.column.kind
        target = linker.targets[self._shared.collection]
        if not target.count:
            linker.refuse("id", f"{self._shared.collection!r}, which defines it, needs a count")
            return
        self._shared.count = target.count

    def variety(self) -> Variety | None:
        copied = self._shared.field.variety() if self._shared.field else None
        if copied is None:
            return None
        return Variety(1 / self._shared.count, min(self._shared.count, copied.period))

    def depends(self) -> Iterator[Field]:
        if self._shared.field is not None:
            yield self._shared.field

    def _rows(self, rows: Rows) -> Rows:
        if self not in rows.memo:
            rows.memo[self] = rows.for_documents(rows.turns % np.uint64(self._shared.count))
        kept: Rows = rows.memo[self]
        return kept

    def encode(self, rows: Rows) -> Encoded:
        return linked(self._shared.field).encoded(self._rows(rows))

    def values(self, rows: Rows) -> Values | None:
        return linked(self._shared.field).values(self._rows(rows))

    def text(self, rows: Rows) -> Text | None:
        return linked(self._shared.field).text(self._rows(rows))


@column_type("reference", "ref")
def read_reference(node: TemplateNode) -> Column:
    """Type reference: to, field _id, by.

    Also inTurn, oneToOne, earlier, distinct, distribution and group.
    """
    target = node.text("to", "", "collection")
    field = node.text("field", "_id")
    ways = {way: node.flag(way, False) for way in WAYS}
    by = Expression.read(node, "by") if node.has("by") else node.take("by")
    shared_id = node.take("id")
    content = node.take("refContent")
    weighting = node.take("distribution")
    group = group_of(node)
    if not target:
        return _read_shared(node, shared_id, content)
    if shared_id is not ABSENT or content is not ABSENT:
        node.refuse("to", "cannot be combined with id and refContent, mgodatagen's other form")
    given = [way for way in WAYS if ways[way]] + ["by"] * isinstance(by, Expression)
    if len(given) > 1:
        node.refuse(given[1], f"cannot be combined with {given[0]}")
    if weighting is not ABSENT and {*given} & {"inTurn", "oneToOne", "by"}:
        node.refuse("distribution", f"cannot be combined with {given[0]}: nothing is drawn")
    if ways["distinct"] and node.record.longest is None:
        node.refuse("distinct", "applies only to the elements of an array")
    settings = {**ways, "distribution": "" if weighting is ABSENT else repr(weighting)}
    settings["by"] = by.text if isinstance(by, Expression) else ""
    group.join(node, ValueSet(f"documents of {target}", 0), settings)
    draw: TargetDraw = group.settings.setdefault("draw", TargetDraw(group, node.record.longest))
    if weighting is not ABSENT:
        draw.node = node
    if isinstance(by, Expression):
        draw.by = by
    return ReferenceColumn(draw, target, field)


def _read_shared(node: TemplateNode, shared_id: object, content: object) -> Column:
    if shared_id is ABSENT:
        node.refuse("to", "is missing: the collection to refer to")
    name = "" if shared_id is ABSENT else str(shared_id)
    shared: Shared = node.reader.shared.setdefault(name, Shared())
    if content is not ABSENT and shared.field is not None and content != shared.content:
        node.refuse("refContent", f"differs from the other one of id {name!r}; give it only once")
    if content is not ABSENT and shared.field is None:
        shared.content = content
        shared.collection = node.reader.collection
        path = f"{node.path}.refContent"
        shared.field = node.reader.read_field("", content, path, Record())
    return SharedColumn(shared, name)
