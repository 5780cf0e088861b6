"""The differences that a verification found, by kind, collection and field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dataworks_tasks.ledger.contract import DocumentFailure

_SHOWN_IDS = 3
_SHOWN_GROUPS = 20
_AT_FIELD = re.compile(r"differs at (.+?): source ", re.DOTALL)
_INDEX = re.compile(r"(?<=\.)\d+(?=\.|$)")
"""A position in an array: documents that differ in any member belong together."""
_EXTRA = ("not in the source", "not of the run")
"""The beginnings of the reasons of documents that should not exist."""


@dataclass(slots=True)
class DifferenceGroup:
    """Documents of one collection that differ the same way.

    ``first``: the ``_id``s of a few of them.
    """

    collection: str
    kind: str
    path: str = ""
    count: int = 0
    first: list[str] = field(default_factory=list)

    @property
    def is_extra(self) -> bool:
        """Whether the documents should not exist."""
        return self.kind.startswith(_EXTRA)

    def add(self, document_id: str) -> None:
        """Count a document."""
        self.count += 1
        if len(self.first) < _SHOWN_IDS:
            self.first.append(document_id)

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return asdict(self)

    def __str__(self) -> str:
        what = f"{self.kind} at {self.path}" if self.path else self.kind
        line = f"{self.collection}: {self.count:,} {what}"
        if not self.first:
            return line
        shown = ", ".join(self.first) + (", ..." if self.count > len(self.first) else "")
        return f"{line} (_id {shown})"


def group_differences(failures: Iterable[DocumentFailure]) -> list[DifferenceGroup]:
    """Return the groups, the largest first."""
    groups: dict[tuple[str, str, str], DifferenceGroup] = {}
    for failure in failures:
        kind, at = _kind(failure.reason)
        key = (failure.namespace, kind, at)
        group = groups.setdefault(key, DifferenceGroup(failure.namespace, kind, at))
        group.add(failure.document_id)
    return sorted(groups.values(), key=lambda group: (-group.count, group.collection, group.path))


def shown_groups(groups: Sequence[DifferenceGroup], listed: int, found: int) -> list[str]:
    """Return a line for each of the largest groups, with ``listed`` of ``found`` differences."""
    lines = [str(group) for group in groups[:_SHOWN_GROUPS]]
    if more := len(groups) - len(lines):
        lines.append(f"and {more:,} more groups")
    if listed < found:
        lines.append(f"{listed:,} of {found:,} differences are listed; the others are counted only")
    return lines


def _kind(reason: str) -> tuple[str, str]:
    found = _AT_FIELD.match(reason)
    return ("different", _INDEX.sub("*", found[1])) if found else (reason, "")
