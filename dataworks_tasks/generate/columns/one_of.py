"""``oneOf``: for each document one of several columns, of whatever types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Choice, Layout
from dataworks_tasks.generate.fields.distributions import weighted
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column, Field
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode


class OneOfColumn(Column):
    """One of ``variants``, uniform or weighted."""

    def __init__(self, path: str, variants: Sequence[Column], weights: list[float]) -> None:
        self._variants = variants
        self._choose = weighted(weights or [1.0] * len(variants))
        self._salt = counter_hash.salt(path)

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        choice = self._choose(counter_hash.draw(rows.keys, self._salt))
        codes = np.zeros(len(rows), np.uint8)
        groups = []
        for number, variant in enumerate(self._variants):
            chosen = np.flatnonzero(choice == number)
            if len(chosen):
                encoded = variant.encode(rows.select(chosen))
                codes[chosen] = encoded.type_code
                groups.append((chosen, Layout(encoded.segments)))
        return Encoded(codes, [Choice(len(rows), groups)])

    def depends(self) -> Iterator[Field]:
        """See Column."""
        for variant in self._variants:
            yield from variant.depends()

    def nested(self) -> Iterator[Field]:
        """See Column."""
        for variant in self._variants:
            yield from variant.nested()


@column_type("oneOf")
def read_one_of(node: TemplateNode) -> Column:
    """oneOf: variants, weights."""
    raw = node.items("variants", "values", "oneOf")
    weights = node.numbers("weights", least=0)
    if weights and (len(weights) != len(raw) or not sum(weights)):
        node.refuse("weights", f"needs {len(raw)} weights, one for each variant")
        weights = []
    variants = [node.column(entry, f"variants[{index}]") for index, entry in enumerate(raw)]
    return OneOfColumn(node.path, variants, weights)
