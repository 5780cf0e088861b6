"""Fields of one ``group`` pick the same number, so they must be drawn the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.numerals import counted


@dataclass(frozen=True, slots=True)
class ValueSet:
    """What a field picks from, and how many there are.

    Only fields with equal pools can share a group.
    """

    what: str
    count: int

    def __str__(self) -> str:
        return counted(self.count, self.what) if self.count else self.what


@dataclass(slots=True, eq=False)
class Group:
    """The fields of one group name, or a single field. A setting of one of them applies to all."""

    salted: str
    """The salt of the draws."""
    settings: dict[str, Any] = field(default_factory=dict)
    _first: str = ""
    _pool: ValueSet | None = None
    _rows: tuple[object, ...] = ()

    def join(self, node: TemplateNode, pool: ValueSet, settings: Mapping[str, Any]) -> None:
        """Add the field of ``node``; what cannot be combined with the others is a finding."""
        rows = node.record.rows_of
        if self._pool is None:
            self._first, self._pool, self._rows = node.path, pool, rows
        elif pool != self._pool:
            node.refuse("group", f"{pool} cannot be combined with {self._pool} of {self._first}")
        elif rows != self._rows:
            node.refuse("group", f"cannot follow {self._first}, which has other rows: see array")
        for name, value in settings.items():
            if value and self.settings.setdefault(name, value) != value:
                node.refuse(name, f"differs from that of another field of the same group; {_ONE}")


_ONE = "give it to one of them; it applies to all"


def group_of(node: TemplateNode) -> Group:
    """Return the group that the field names with ``group``, or a group of its own."""
    name = node.text("group", "")
    if not name:
        return Group(node.path)
    collection = node.reader.collection
    found: Group = node.reader.groups.setdefault(
        (collection, name), Group(f"{collection} group {name}")
    )
    return found
