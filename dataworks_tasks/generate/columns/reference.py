"""``reference``: the value another document has, worked out again instead of remembered."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import Text, Values
from dataworks_tasks.generate.fields.distributions import Sample, read_distribution
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.model import Column, Field, Linker, Record
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.scope import Reference, linked, resolve
from dataworks_tasks.generate.fields.template_node import ABSENT, TemplateNode


class ReferenceColumn(Column):
    """A field of a document of another collection, or of an earlier reference by id.

    Which document: drawn from the row's key, or the next one in turn. References of one ``group``
    in a document point to the same document, so several of its fields can be copied.
    """

    def __init__(self, draws: str, target: str, field: str, cyclic: bool) -> None:
        self._target, self._field, self._cyclic = target, field, cyclic
        self._draws = draws
        self._salt = counter_hash.salt(draws, "reference")
        self._reference: Reference | None = None
        self._count = 1
        self.sample: Sample | None = None
        self._weighting = ""
        self.node: TemplateNode | None = None
        """Where the distribution stands, to be read when the target's count is known."""

    def link(self, linker: Linker) -> None:
        """See Column."""
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
            linker.refuse("field", f"{self._field!r} is or lies in an array")
        if not all(step.shares is None for step in self._reference.steps):
            linker.refuse("field", f"{self._field!r} is missing or null in some documents")
        self.kind = self._reference.kind
        self._count = target.count
        if self.node is not None:
            self._weighting = repr(self.node.take("distribution"))
            self.sample = read_distribution(self.node, 0, self._count - 1)
            self.node = None

    def depends(self) -> Iterator[Field]:
        """See Column."""
        if self._reference is not None:
            yield from self._reference.steps

    def _others(self, rows: Rows) -> tuple[Field, Rows]:
        key = ("reference", self._draws, self._target, self._weighting)
        if key not in rows.memo:
            rows.memo[key] = Rows.documents(rows.seed, self._numbers(rows))
        others: Rows = rows.memo[key]
        *objects, last = linked(self._reference).steps
        for step in objects:
            others = step.modulo_rows(others)
        return last, last.modulo_rows(others)

    def _numbers(self, rows: Rows) -> counter_hash.Bits:
        if self._cyclic:
            return rows.ordinals % np.uint64(self._count)
        bits = counter_hash.draw(rows.keys, self._salt)
        if self.sample is None:
            return counter_hash.below(bits, self._count).view(np.uint64)
        rank = np.clip(np.rint(self.sample(bits)), 0, self._count - 1)
        return rank.astype(np.int64).view(np.uint64)

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        field, others = self._others(rows)
        return field.column.encode(others)

    def values(self, rows: Rows) -> Values | None:
        """See Column."""
        field, others = self._others(rows)
        return field.column.values(others)

    def text(self, rows: Rows) -> Text | None:
        """See Column."""
        field, others = self._others(rows)
        return field.column.text(others)


class SharedColumn(Column):
    """mgodatagen's reference by id: the values of a column defined once, in whatever collection."""

    def __init__(self, path: str, shared: Shared, defines: bool) -> None:
        self._shared, self._defines = shared, defines
        self._salt = counter_hash.salt(path)
        self.unique = defines and shared.column.unique

    def link(self, linker: Linker) -> None:
        """See Column."""
        self.kind = self._shared.column.kind
        target = linker.targets.get(self._shared.collection)
        if not self._defines and (target is None or not target.count):
            linker.refuse("id", f"{self._shared.collection!r}, which defines it, needs a count")
        elif target is not None:
            self._shared.count = target.count or 1

    def capacity(self) -> int | None:
        """See Column."""
        return self._shared.column.capacity()

    def depends(self) -> Iterator[Field]:
        """See Column."""
        yield from self._shared.column.depends()

    def _rows(self, rows: Rows) -> Rows:
        if self._defines:
            return rows
        if self not in rows.memo:
            bits = counter_hash.draw(rows.keys, self._salt)
            number = counter_hash.below(bits, self._shared.count).view(np.uint64)
            rows.memo[self] = Rows.documents(rows.seed, number)
        kept: Rows = rows.memo[self]
        return kept

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        return self._shared.column.encode(self._rows(rows))

    def values(self, rows: Rows) -> Values | None:
        """See Column."""
        return self._shared.column.values(self._rows(rows))

    def text(self, rows: Rows) -> Text | None:
        """See Column."""
        return self._shared.column.text(self._rows(rows))


class Shared:
    """A column that several fields draw from, and how many values the definer has."""

    def __init__(self, collection: str, column: Column) -> None:
        self.collection, self.column, self.count = collection, column, 1


@column_type("reference", "ref")
def read_reference(node: TemplateNode) -> Column:
    """reference: to, field _id, distribution, inTurn, group; or id, refContent."""
    target = node.text("to", "", "collection")
    field = node.text("field", "_id")
    in_turn = node.flag("inTurn", False)
    group = node.text("group", "")
    shared_id = node.take("id")
    content = node.take("refContent")
    if not target:
        return _read_shared(node, shared_id, content)
    if shared_id is not ABSENT or content is not ABSENT:
        node.refuse("to", "cannot go with id and refContent, mgodatagen's other form")
    draws = f"{node.reader.collection} group {group}" if group else node.path
    column = ReferenceColumn(draws, target, field, in_turn)
    column.node = node if node.has("distribution") else None
    node.take("distribution")
    return column


def _read_shared(node: TemplateNode, shared_id: object, content: object) -> Column:
    node.take("distribution")
    if shared_id is ABSENT:
        node.refuse("to", "is missing: the collection whose documents are meant")
        shared_id = ""
    name = str(shared_id)
    known = node.reader.shared
    if name not in known:
        if content is ABSENT:
            node.refuse("refContent", f"is missing, and no earlier field defines id {name!r}")
            content = {"type": "objectId"}
        known[name] = Shared(node.reader.collection, node.column(content, "refContent", Record()))
        return SharedColumn(node.path, known[name], defines=True)
    return SharedColumn(node.path, known[name], defines=False)
