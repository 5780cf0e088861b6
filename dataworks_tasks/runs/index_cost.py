"""What an index build costs a server, as measured on MongoDB's own."""

from __future__ import annotations

from collections.abc import Sequence

from dataworks_tasks.runs.spec import IndexEntries

_SCAN_SECONDS = 0.3e-6
_SCAN_BYTES_PER_SECOND = 4e9
_ENTRY_SECONDS = 1.0e-6
_FIELD_SECONDS = 0.6e-6
_KEY_BYTES_PER_SECOND = 60e6
"""Processor time of mongod 6.0 on one core of a server of 2023 (``benchmarks.index_builds``): for a
document that is read, for an entry, for each of its fields, and for its key to be sorted."""


def build_seconds(
    documents: float, document_bytes: float, entries: Sequence[IndexEntries]
) -> float:
    """Return the seconds that the measured server takes to build these indexes in one pass."""
    scan = _SCAN_SECONDS + document_bytes / _SCAN_BYTES_PER_SECOND
    return documents * (scan + sum(map(_seconds_of_entries, entries)))


def _seconds_of_entries(index: IndexEntries) -> float:
    each = _ENTRY_SECONDS + index.fields * _FIELD_SECONDS
    return index.entries * each + index.key_bytes / _KEY_BYTES_PER_SECOND
