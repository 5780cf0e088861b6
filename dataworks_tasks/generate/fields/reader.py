"""Reads the fields of a template: JSON objects into columns, all findings at once."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import lcm
from typing import Any

from dataworks_tasks.documents.bson_types import NULL
from dataworks_tasks.errors import Finding, nearest_or_all
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.expression import Expression
from dataworks_tasks.generate.fields.model import Column, Field, Record
from dataworks_tasks.generate.fields.registry import ColumnType
from dataworks_tasks.generate.fields.shares import Shares
from dataworks_tasks.generate.fields.template_node import ABSENT, TemplateNode, shown

MAX_DEPTH = 60
MAX_FIELDS = 20_000
_LARGEST_BLOCK = 100_000


class Unreadable(Column):
    """Replaces a column that could not be read; the template is refused."""

    def encode(self, rows: Rows) -> Encoded:
        """Null."""
        return Encoded(NULL, [])


class Reader:
    """What is collected while one template is read."""

    def __init__(self, column_types: Mapping[str, ColumnType]) -> None:
        self._column_types = column_types
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.columns: list[tuple[str, Record, Column]] = []
        self.conditions: list[tuple[str, Record, Expression]] = []
        self.shared: dict[str, Any] = {}
        """mgodatagen's references by id, each as the ``reference`` type keeps it."""
        self.groups: dict[tuple[str, str], Any] = {}
        """The groups of fields by collection and name."""
        self.collection = ""
        self.moment = 0
        """What ``now`` means, in milliseconds since 1970."""
        self.moment_used = False
        self._depth = 0
        self._count = 0

    def refuse(self, path: str, problem: str) -> None:
        """Record a finding."""
        self.findings.append(Finding(path, problem))

    def now(self) -> int:
        """Return what ``now`` means, and remember that the template needs it."""
        self.moment_used = True
        return self.moment

    def note(self, text: str) -> None:
        """Record something in the template that is ignored."""
        self.notes.append(text)

    def read_record(self, content: object, path: str, record: Record) -> Record:
        """Fill ``record`` with the fields of a ``content`` or ``objectContent`` object."""
        if not isinstance(content, Mapping):
            self.refuse(path, f"must be an object of fields, not {shown(content)}")
            return record
        for name, value in content.items():
            problem = _name_problem(name)
            if problem:
                self.refuse(f"{path}.{name}", problem)
            record.add([self.read_field(name, value, f"{path}.{name}", record)])
        return record

    def read_field(self, name: str, value: object, path: str, record: Record) -> Field:
        """Read one field: its column, and whether it is present."""
        node = self._open(value, path, record)
        if node is None:
            return Field(name, path, Unreadable())
        hidden = node.flag("hidden", False)
        if hidden and (not name or name == "_id"):
            node.refuse("hidden", "is for fields of an object, other than _id")
        shares = _read_shares(node)
        distinct = node.integer("maxDistinctValue", 0, least=0, most=1 << 40)
        condition = self._read_condition(node)
        if distinct:
            # Repeated values are those of other documents, so they cannot use fields of this one.
            node.record = Record(rows_of=(*record.rows_of, distinct))
        return Field(name, path, self._close(node), shares, condition, distinct, hidden)

    def read_column(self, value: object, path: str, record: Record) -> Column:
        """Read a column without a name of its own, such as a part or a variant."""
        node = self._open(value, path, record)
        return Unreadable() if node is None else self._close(node)

    def _open(self, value: object, path: str, record: Record) -> TemplateNode | None:
        if not isinstance(value, Mapping):
            self.refuse(path, f"must be an object with a type, not {shown(value)}")
            return None
        self._count += 1
        if self._count > MAX_FIELDS or self._depth > MAX_DEPTH:
            self.refuse(path, f"more than {MAX_FIELDS} fields, or nested deeper than {MAX_DEPTH}")
            return None
        return TemplateNode(value, path, self, record)

    def _close(self, node: TemplateNode) -> Column:
        known = self._column_types
        name = node.take("type")
        if not isinstance(name, str) or name.lower() not in known:
            said = "is missing" if name is ABSENT else f"{shown(name)} is unknown"
            names = [kind.name for kind in known.values()]
            node.refuse("type", f"{said}. {nearest_or_all(str(name), set(names), limit=40)}")
            return Unreadable()
        self._depth += 1
        try:
            column = known[name.lower()].read(node)
        finally:
            self._depth -= 1
        node.finish()
        self.columns.append((node.path, node.record, column))
        return column

    def _read_condition(self, node: TemplateNode) -> Expression | None:
        if not node.has("when"):
            node.take("when")
            return None
        expression = Expression.read(node, "when")
        if expression is not None:
            self.conditions.append((f"{node.path}.when", node.record, expression))
        return expression


def _read_shares(node: TemplateNode) -> Shares | None:
    missing = _share(node.number("missing", 0, "nullPercentage", least=0, most=100))
    null = _share(node.number("null", 0, least=0, most=100))
    if missing + null > 1:
        node.refuse("null", "missing and null together are more than 100 percent")
        return None
    if not missing + null:
        return None
    block = lcm(missing.denominator, null.denominator)
    if block > _LARGEST_BLOCK:
        node.refuse("missing", f"has too many decimals to be exact in {_LARGEST_BLOCK} documents")
        return None
    return Shares(block, int(missing * block), int(null * block))


def _share(percent: float) -> Fraction:
    return Fraction(str(percent)) / 100


def _name_problem(name: str) -> str:
    if not name:
        return "a field needs a name"
    if "\0" in name:
        return "a field's name cannot hold a zero character"
    return ""
