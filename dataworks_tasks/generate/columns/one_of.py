"""``oneOf``: for each document one of several columns: by chance, or by another field's value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Positions
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Choice, Layout
from dataworks_tasks.generate.batch.values import Kind, RowMask, Text, Values, decoded_text, text_of
from dataworks_tasks.generate.columns.enum import read_weights
from dataworks_tasks.generate.fields.distributions import weighted
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.expression import Expression
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.model import Column, Field, Linker
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import ABSENT, TemplateNode, as_number, shown
from dataworks_tasks.generate.fields.variety import Variety

_NONE = -1


class OneOfColumn(Column):
    """One of ``variants``, uniform or weighted."""

    def __init__(self, salted: str, variants: Sequence[Column], weights: list[float]) -> None:
        self._variants = variants
        self._weights = weights or [1.0] * len(variants)
        self._choose = weighted(self._weights)
        self._salt = counter_hash.salt(salted)

    def link(self, linker: Linker) -> None:
        kinds = {variant.kind for variant in self._variants}
        self.kind = kinds.pop() if len(kinds) == 1 else None

    def _choice(self, rows: Rows) -> Positions:
        """Return the number of each row's variant; ``_NONE`` for a row without one."""
        return self._choose(counter_hash.draw(rows.keys, self._salt))

    def _groups(self, rows: Rows) -> Iterator[tuple[Positions, Column, Rows]]:
        """Yield each variant with the numbers of its rows, and the rows themselves."""
        choice = self._choice(rows)
        for number, variant in enumerate(self._variants):
            chosen = np.flatnonzero(choice == number)
            if len(chosen):
                yield chosen, variant, rows.select(chosen)

    def encode(self, rows: Rows) -> Encoded:
        codes = np.zeros(len(rows), np.uint8)
        groups = []
        for chosen, variant, selected in self._groups(rows):
            encoded = variant.encode(selected)
            codes[chosen] = encoded.type_code
            groups.append((chosen, Layout(encoded.segments)))
        return Encoded(codes, [Choice(len(rows), groups)])

    def values(self, rows: Rows) -> Values | None:
        if self.kind is None:
            return None
        count = len(rows)
        present = np.zeros(count, np.bool_)
        words = [""] * count
        parts: list[tuple[Positions, Values]] = []
        for chosen, variant, selected in self._groups(rows):
            values = variant.values(selected)
            if values is None:
                return None
            present[chosen] = True if values.present is None else values.present
            parts.append((chosen, values))
        there = None if present.all() else present
        if self.kind is Kind.TEXT:
            for chosen, values in parts:
                for row, word in zip(chosen.tolist(), decoded_text(values).strings(), strict=True):
                    words[row] = word
            return Values.of_text(text_of(words), there)
        dtype = np.result_type(*(values.data.dtype for _, values in parts)) if parts else np.int64
        data = np.zeros(count, dtype)
        for chosen, values in parts:
            data[chosen] = values.data
        return Values(self.kind, data, None, there)

    def text(self, rows: Rows) -> Text | None:
        words = [""] * len(rows)
        for chosen, variant, selected in self._groups(rows):
            text = variant.text(selected)
            for row, word in zip(chosen.tolist(), text.strings() if text else (), strict=False):
                words[row] = word
        return text_of(words)

    def variety(self) -> Variety | None:
        varieties = [variant.variety() for variant in self._variants]
        total = sum(self._weights)
        chance = 0.0
        for weight, variety in zip(self._weights, varieties, strict=True):
            if variety is None:
                return None
            chance += (weight / total) ** 2 * variety.chance
        return Variety(chance)

    def depends(self) -> Iterator[Field]:
        for variant in self._variants:
            yield from variant.depends()

    def nested(self) -> Iterator[Field]:
        for variant in self._variants:
            yield from variant.nested()


class CaseColumn(OneOfColumn):
    """The variant that the value of ``by`` names; ``otherwise`` is the last one's number."""

    def __init__(
        self, by: Expression, cases: Mapping[str, Column], otherwise: Column | None
    ) -> None:
        variants = [*cases.values(), *([otherwise] if otherwise else [])]
        super().__init__("", variants, [])
        self._by = by
        self._numbers = {name: number for number, name in enumerate(cases)}
        self._otherwise = len(cases) if otherwise else _NONE

    @property
    def optional(self) -> bool:
        return self._otherwise == _NONE

    def link(self, linker: Linker) -> None:
        super().link(linker)
        try:
            kind = self._by.link(linker.record)
        except ExpressionError as error:
            linker.refuse("by", str(error))
            return
        if kind not in {Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN}:
            linker.refuse("by", f"must be a string, a number, true or false, not a {kind}")
        for name in self._numbers:
            number = kind is Kind.NUMBER and as_number(name) is None
            if number or (kind is Kind.BOOLEAN and name not in {"true", "false"}):
                linker.refuse(f"cases.{name}", f"never matches: {self._by.text} is a {kind}")

    def present(self, rows: Rows) -> RowMask | None:
        return None if self._otherwise != _NONE else self._choice(rows) != _NONE

    def _choice(self, rows: Rows) -> Positions:
        if self not in rows.memo:
            values = self._by.evaluate(rows)
            words = decoded_text(values).strings()
            if values.present is not None:
                there = values.present.tolist()
                words = [word if here else "" for word, here in zip(words, there, strict=True)]
            numbers = (self._numbers.get(word, self._otherwise) for word in words)
            rows.memo[self] = np.fromiter(numbers, np.int64, len(rows))
        kept: Positions = rows.memo[self]
        return kept

    def variety(self) -> Variety | None:
        return None

    def depends(self) -> Iterator[Field]:
        yield from super().depends()
        yield from self._by.fields()


@column_type("oneOf")
def read_one_of(node: TemplateNode) -> Column:
    """Type oneOf: variants, weights; or by (an expression), cases by its value, else."""
    by = Expression.read(node, "by") if node.has("by") else node.take("by")
    cases = node.take("cases")
    otherwise = node.take("else")
    if by is not ABSENT or cases is not ABSENT:
        return _read_cases(node, by, cases, otherwise)
    if otherwise is not ABSENT:
        node.refuse("else", "needs by and cases")
    raw = node.items("variants", "values", "oneOf")
    weights = read_weights(node, len(raw), "variant")
    variants = [node.column(entry, f"variants[{index}]") for index, entry in enumerate(raw)]
    return OneOfColumn(node.path, variants, weights)


def _read_cases(node: TemplateNode, by: object, cases: object, otherwise: object) -> Column:
    for key in ("variants", "values", "oneOf", "weights"):
        if node.has(key):
            node.refuse(key, "cannot be combined with by and cases")
        node.take(key)
    if not isinstance(by, Expression):
        if by is ABSENT:
            node.refuse("by", "is missing: the field or expression that says which case it is")
        by = Expression("0")
    if not isinstance(cases, Mapping) or not cases:
        node.refuse("cases", f"must be an object of types by value, not {shown(cases)}")
        cases = {}
    columns = {name: node.column(entry, f"cases.{name}") for name, entry in cases.items()}
    last = None if otherwise is ABSENT else node.column(otherwise, "else")
    return CaseColumn(by, columns, last)
