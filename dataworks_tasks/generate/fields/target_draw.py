"""Which document of another collection a reference points to, by row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.counter_hash import Bits
from dataworks_tasks.generate.batch.permutation import permute
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import Kind, RowMask, Values
from dataworks_tasks.generate.batch.without_repeats import WithoutRepeats
from dataworks_tasks.generate.fields.distributions import Sample, read_distribution
from dataworks_tasks.generate.fields.exact import whole
from dataworks_tasks.generate.fields.expression import Expression
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.groups import Group
from dataworks_tasks.generate.fields.model import Field, Linker
from dataworks_tasks.generate.fields.numbers import whole_within
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.numerals import counted

WAYS = ("inTurn", "oneToOne", "earlier", "distinct")
"""The flags of a reference, which has at most one of them."""


class TargetDraw:
    """Numbers of documents below ``count``; the fields of a group share one.

    ``node`` is where a distribution is read from, once the target's count is known.
    """

    def __init__(self, group: Group, longest: int | None) -> None:
        self.group = group
        self.count = 1
        self.node: TemplateNode | None = None
        self.by: Expression | None = None
        self._longest = longest or 1
        self._salt = counter_hash.salt(group.salted, "reference")
        self._sample: Sample | None = None
        self._without_repeats: WithoutRepeats | None = None

    def is_drawn(self, way: str) -> bool:
        """Return whether the draw uses this one of ``WAYS``."""
        return self.group.settings.get(way) is True

    @property
    def optional(self) -> bool:
        """Whether some rows point nowhere."""
        return self.is_drawn("earlier") or self.by is not None

    def link(self, linker: Linker, count: int) -> None:
        """Read what needs the target's count, and the fields that ``by`` names."""
        self.count = count
        if self.node is not None:
            self._sample = read_distribution(self.node, 0, count - 1)
            self.node = None
        if self.is_drawn("distinct"):
            if self._longest > count:
                linker.refuse(
                    "distinct",
                    f"the array can have {counted(self._longest, 'element')}, "
                    f"but the collection has {counted(count, 'document')}",
                )
                return
            self._without_repeats = WithoutRepeats(
                self._salt, count, self._longest, sample=self._sample
            )
        if self.by is not None:
            self._link_by(linker, self.by)

    def _link_by(self, linker: Linker, by: Expression) -> None:
        try:
            kind = by.link(linker.record)
        except ExpressionError as error:
            linker.refuse("by", str(error))
            return
        if kind is not Kind.NUMBER:
            linker.refuse("by", f"must be the number of a document, not a {kind}")

    def depends(self) -> Iterator[Field]:
        """Yield the fields that select the document."""
        if self.by is not None:
            yield from self.by.fields()

    def documents(self, rows: Rows) -> Rows:
        """Return the documents that the rows point to, cached with the rows."""
        if self not in rows.memo:
            rows.memo[self] = rows.for_documents(self._numbers(rows))
        kept: Rows = rows.memo[self]
        return kept

    def present(self, rows: Rows) -> RowMask | None:
        """Return for every row whether it points to a document; None: all do."""
        if self.is_drawn("earlier"):
            there: RowMask = rows.indexes > np.uint64(0)
            return there
        return self.by.evaluate(rows).present if self.by is not None else None

    def _numbers(self, rows: Rows) -> Bits:
        if self.by is not None:
            return self._named(self.by.evaluate(rows))
        if self.is_drawn("inTurn"):
            return rows.turns % np.uint64(self.count)
        if self.is_drawn("oneToOne"):
            return permute(rows.ordinals, self.count, self._salt, rows.seed).view(np.uint64)
        if self._without_repeats is not None:
            return self._without_repeats.numbers(rows).view(np.uint64)
        return self._drawn(rows, counter_hash.draw(rows.keys, self._salt))

    def _named(self, values: Values) -> Bits:
        data = values.data
        if data.dtype.kind == "f":
            data = whole(np.rint(data), values.present, "the number of a document")
        numbers: counter_hash.Integers = np.mod(data, np.int64(self.count))
        return numbers.view(np.uint64)

    def _drawn(self, rows: Rows, bits: Bits) -> Bits:
        """Draw any document; with ``earlier``, one before this one (a skew prefers the first)."""
        ranks = bits
        if self._sample is not None:
            ranks = whole_within(self._sample(bits), 0, self.count - 1).view(np.uint64)
        if self.is_drawn("earlier"):
            limits = np.minimum(np.maximum(rows.indexes, np.uint64(1)), np.uint64(self.count))
            return ranks % limits
        if self._sample is not None:
            return ranks
        return counter_hash.below(bits, self.count).view(np.uint64)
