"""``oneOf``: for each document one of several columns, of whatever types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Choice, Layout
from dataworks_tasks.generate.columns.enum import read_weights
from dataworks_tasks.generate.fields.distributions import weighted
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column, Field
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.variety import Variety


class OneOfColumn(Column):
    """One of ``variants``, uniform or weighted."""

    def __init__(self, path: str, variants: Sequence[Column], weights: list[float]) -> None:
        self._variants = variants
        self._weights = weights or [1.0] * len(variants)
        self._choose = weighted(self._weights)
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

    def variety(self) -> Variety | None:
        """See Column."""
        varieties = [variant.variety() for variant in self._variants]
        if None in varieties:
            return None
        total = sum(self._weights)
        shares = [weight / total for weight in self._weights]
        return Variety(
            sum(
                share**2 * variety.chance
                for share, variety in zip(shares, varieties, strict=True)
                if variety is not None
            )
        )

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
    weights = read_weights(node, len(raw), "variant")
    variants = [node.column(entry, f"variants[{index}]") for index, entry in enumerate(raw)]
    return OneOfColumn(node.path, variants, weights)
