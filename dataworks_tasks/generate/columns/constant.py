"""``constant``: any JSON value, or a BSON one as Extended JSON."""

from __future__ import annotations

from typing import Any

import bson
import numpy as np
from bson import json_util
from bson.errors import BSONError

from dataworks_tasks.documents.bson_types import STRING
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant
from dataworks_tasks.generate.batch.values import Kind, Text, Values, constant_text
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import ABSENT, TemplateNode, shown
from dataworks_tasks.generate.fields.variety import CONSTANT, Variety


def bson_value(value: object) -> tuple[int, bytes]:
    """Return the type byte and the bytes of one value."""
    if type(value) is str:  # most values of pools: three times as fast as by a document
        data = value.encode()
        return STRING, b"%b%b\0" % ((len(data) + 1).to_bytes(4, "little"), data)
    document = bson.encode({"": value})
    return document[4], document[6:-1]


def extended(node: TemplateNode, key: str, value: object) -> Any:
    """Decode Extended JSON such as ``{"$oid": ...}``; report invalid values as findings."""
    try:
        converted = _convert(value)
        bson.encode({"": converted})
    except (BSONError, ValueError, TypeError, OverflowError, KeyError) as error:
        node.refuse(key, f"{shown(value)} is not a value MongoDB can store: {error}")
        return None
    return converted


def _convert(value: object) -> Any:
    if isinstance(value, list):
        return [_convert(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    inner = {key: _convert(entry) for key, entry in value.items()}
    options = json_util.JSONOptions(tz_aware=False, json_mode=json_util.JSONMode.CANONICAL)
    return json_util.object_hook(inner, options)


def kind_of(value: object) -> Kind | None:
    """Return the kind that ``value`` has in expressions, or None."""
    if isinstance(value, bool):
        return Kind.BOOLEAN
    if isinstance(value, int | float):
        return Kind.NUMBER
    return Kind.TEXT if isinstance(value, str) else None


class ConstantColumn(Column):
    """The same value in every row."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._code, self._data = bson_value(value)
        self.kind = kind_of(value)

    def variety(self) -> Variety | None:
        return CONSTANT

    def encode(self, rows: Rows) -> Encoded:
        return Encoded(self._code, [Constant(self._data)])

    def values(self, rows: Rows) -> Values | None:
        if self.kind is None:
            return None
        if self.kind is Kind.TEXT:
            return Values.of_text(constant_text(self._value, len(rows)))
        return Values(self.kind, np.full(len(rows), self._value))

    def text(self, rows: Rows) -> Text:
        value = self._value
        return constant_text(value if isinstance(value, str) else str(value), len(rows))


@column_type("constant")
def read_constant(node: TemplateNode) -> Column:
    """Type constant: constVal."""
    value = node.take("constVal", "value")
    if value is ABSENT:
        node.refuse("constVal", "is missing")
        value = None
    return ConstantColumn(extended(node, "constVal", value))
