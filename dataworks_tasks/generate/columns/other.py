"""``timestamp``, ``regex``, ``code``: the rare BSON types."""

from __future__ import annotations

import re

import numpy as np

from dataworks_tasks.documents.bson_types import CODE, REGEX, TIMESTAMP
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant, Fixed
from dataworks_tasks.generate.batch.values import bson_string
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.instants import read_instant
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.variety import CONSTANT, Variety

_SECOND = 1000
_LAST_SECOND = (1 << 32) - 1
_OPTIONS = re.compile(r"i?l?m?s?u?x?$")


class TimestampColumn(Column):
    """An internal timestamp: seconds at random, the document's index as the increment."""

    def __init__(self, path: str, start: int, end: int) -> None:
        self._start, self._end = start, end
        self._salt = counter_hash.salt(path)

    def encode(self, rows: Rows) -> Encoded:
        bits = counter_hash.draw(rows.keys, self._salt)
        seconds = counter_hash.below(bits, self._end - self._start) + self._start
        words = np.empty((len(rows), 2), "<u4")
        words[:, 0] = rows.ordinals & np.uint64(0xFFFFFFFF)
        words[:, 1] = seconds
        return Encoded(TIMESTAMP, [Fixed(words.view("V8").ravel())])


class VerbatimColumn(Column):
    """The same bytes in every row."""

    def __init__(self, code: int, data: bytes) -> None:
        self._code, self._data = code, data

    def variety(self) -> Variety | None:
        return CONSTANT

    def encode(self, rows: Rows) -> Encoded:
        return Encoded(self._code, [Constant(self._data)])


@column_type("timestamp")
def read_timestamp(node: TemplateNode) -> Column:
    """Type timestamp: startDate, endDate (excluded)."""
    start = read_instant(node, "startDate", "2000-01-01T00:00:00Z") // _SECOND
    end = read_instant(node, "endDate", "2030-01-01T00:00:00Z") // _SECOND
    if not 0 <= start < end <= _LAST_SECOND:
        node.refuse("endDate", "must be later than startDate, both between 1970 and 2106")
        start, end = 0, 1
    return TimestampColumn(node.path, start, end)


@column_type("regex")
def read_regex(node: TemplateNode) -> Column:
    """Type regex: value, options (of i, l, m, s, u, x)."""
    value = node.text("value", "", "pattern")
    options = "".join(sorted(node.text("options", "")))
    if not _OPTIONS.match(options):
        node.refuse(
            "options",
            f"must consist of the letters i, l, m, s, u and x, each at most once, not {options!r}",
        )
    if "\0" in value:
        node.refuse("value", "cannot hold a zero character")
    return VerbatimColumn(REGEX, value.encode() + b"\0" + options.encode() + b"\0")


@column_type("code", "javascript")
def read_code(node: TemplateNode) -> Column:
    """Type code: value."""
    return VerbatimColumn(CODE, bson_string(node.text("value", "")))
