"""Unique indexes that the generated values cannot fill: refused before the first document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dataworks_tasks.generate.fields.model import Field, Record
from dataworks_tasks.generate.fields.scope import HoldsElements, HoldsRecord
from dataworks_tasks.generate.fields.variety import CONSTANT, Variety, together

REFUSED = 0.5
"""An index is refused from this many expected repeats on: it would fail more often than not."""
WARNED = 0.001


def repeated_keys(
    content: Record, indexes: Sequence[Mapping[str, Any]], filled_later: set[str], documents: int
) -> Iterator[tuple[str, float, str]]:
    """Yield unique indexes that may fail: the name, the expected repeats, and why.

    ``filled_later`` are fields that aggregators compute; their values are unknown.
    """
    for index in indexes:
        if not index.get("unique") or "partialFilterExpression" in index:
            continue
        keys = list(index["key"])
        if any(key.partition(".")[0] in filled_later or "$**" in key for key in keys):
            continue
        paths = [_fields_of(content, key) for key in keys]
        repeats, reason = _repeats(paths, documents, bool(index.get("sparse")))
        if repeats >= WARNED:
            yield index["name"], repeats, reason


def _fields_of(content: Record, path: str) -> list[Field] | None:
    """Return the fields on an indexed path, including the elements of arrays on it.

    The list is empty if no document has the path; None means that an array on it may be empty.
    """
    record: Record | None = content
    found: list[Field] = []
    for step in path.split("."):
        field = record.fields.get(step) if record is not None else None
        if field is None or field.hidden:
            return []
        found.append(field)
        while isinstance(field.column, HoldsElements):
            if not field.column.least:
                return None
            # One key for each element: two documents collide at least as often as with one each.
            field = field.column.content
            found.append(field)
        record = field.column.inner if isinstance(field.column, HoldsRecord) else None
    return found


def _repeats(
    paths: Sequence[list[Field] | None], documents: int, sparse: bool
) -> tuple[float, str]:
    if None in paths:
        return 0, ""
    if len(paths) == 1 and (nulls := _nulls(paths[0] or [], documents, sparse)):
        return nulls - 1, "documents without the field count as null; make it sparse or partial"
    variety = together(_variety(path or []) for path in paths)
    repeats = variety.repeats(documents) if variety else 0
    return repeats, "give the fields unique values, a wider range or a larger pool"


def _variety(path: Sequence[Field]) -> Variety | None:
    return path[-1].variety() if path else CONSTANT


def _nulls(path: Sequence[Field], documents: int, sparse: bool) -> float:
    """Return how many documents are indexed as null, if it is more than one."""
    if not path:
        return 0 if sparse else documents
    share = 0.0
    for field in path:
        if not sparse and (field.condition is not None or field.column.optional):
            return 2 if documents > 1 else 0  # their number is unknown
        if field.shares is not None:
            left_out = 0 if sparse else field.shares.missing
            share = max(share, (field.shares.null + left_out) / field.shares.block)
    return share * documents if share * documents > 1 else 0
