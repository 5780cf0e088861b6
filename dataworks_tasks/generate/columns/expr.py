"""``expr``: a value made from the other fields of the document."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataworks_tasks.documents.bson_types import BOOLEAN, DATE
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Fixed
from dataworks_tasks.generate.batch.values import Kind, Text, Values, decoded_text
from dataworks_tasks.generate.fields.encoded import Encoded, encode_present, encode_text
from dataworks_tasks.generate.fields.expression import Expression
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.model import Column, Field, Linker
from dataworks_tasks.generate.fields.numbers import BSON_TYPES, encode_numbers
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.variety import Variety, together


class ExpressionColumn(Column):
    """The value of an expression; null where one of its operands is null or missing."""

    def __init__(self, expression: Expression, bson_type: str, decimals: int) -> None:
        self._expression = expression
        self._bson_type = bson_type
        self._decimals = decimals

    def link(self, linker: Linker) -> None:
        try:
            self.kind = self._expression.link(linker.record)
        except ExpressionError as error:
            linker.refuse("expr", str(error))
            return
        if self.kind is Kind.DURATION:
            linker.refuse("expr", "is a duration, which no BSON type holds; see seconds()")
        if self._bson_type and self._bson_type != "string" and self.kind is not Kind.NUMBER:
            linker.refuse("bsonType", f"is for numbers, but this is a {self.kind}")

    def depends(self) -> Iterator[Field]:
        yield from self._expression.fields()

    def variety(self) -> Variety | None:
        fields = {field.path: field for field in self._expression.operands}
        return together(field.variety() for field in fields.values())

    def values(self, rows: Rows) -> Values:
        if self not in rows.memo:
            rows.memo[self] = self._expression.evaluate(rows)
        kept: Values = rows.memo[self]
        return kept

    def encode(self, rows: Rows) -> Encoded:
        return encode_present(self.values(rows), self._encode_all)

    def _encode_all(self, values: Values) -> Encoded:
        if self._bson_type == "string" or values.kind is Kind.TEXT:
            return encode_text(decoded_text(values))
        if values.kind is Kind.BOOLEAN:
            return Encoded(BOOLEAN, [Fixed(values.data.astype(np.uint8))])
        if values.kind is Kind.DATE:
            return Encoded(DATE, [Fixed(values.data.astype("<i8"))])
        whole = values.data.dtype.kind in "iu"
        bson_type = self._bson_type or ("long" if whole else "double")
        return encode_numbers(values.data, bson_type, self._decimals)

    def text(self, rows: Rows) -> Text:
        return decoded_text(self.values(rows))


@column_type("expr", "expression")
def read_expr(node: TemplateNode) -> Column:
    """Type expr: expr, bsonType (as the value is), decimals 2 (for bsonType decimal)."""
    expression = Expression.read(node, "expr", "expression", "value")
    bson_type = node.choice("bsonType", "", BSON_TYPES)
    decimals = node.integer("decimals", 2, least=0, most=12)
    return ExpressionColumn(expression or Expression("0"), bson_type, decimals)
