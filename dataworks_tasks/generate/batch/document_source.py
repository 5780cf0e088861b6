"""Where the documents of one collection come from."""

from __future__ import annotations

from typing import Protocol

from dataworks_tasks.documents.encoded_batch import EncodedBatch


class DocumentSource(Protocol):
    """Documents by index: a pure function of (template or generator, seed, index)."""

    def generate(self, start: int, stop: int) -> EncodedBatch:
        """Return the documents ``[start, stop)`` of the collection, each with its ``_id``."""
        ...
