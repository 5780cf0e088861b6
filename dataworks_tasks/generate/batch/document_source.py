"""Where the documents of one collection come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dataworks_tasks.documents.encoded_batch import EncodedBatch


class DocumentSource(Protocol):
    """Documents by index: a pure function of (template or generator, seed, index)."""

    def generate(self, start: int, stop: int) -> EncodedBatch:
        """Return the documents ``[start, stop)`` of the collection, each with its ``_id``."""
        ...

    def documents_at(self, indexes: Sequence[int]) -> list[bytes]:
        """Return the same documents that ``generate`` makes, of a few indexes."""
        ...
