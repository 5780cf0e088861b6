"""Documents of a template, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Layout, lay_out
from dataworks_tasks.generate.fields.model import Field, Record

MOST_AT_ONCE = 5_000
"""Documents made at a time: enough to make numpy's calls cheap, and as many as one write has."""
BYTES_AT_ONCE = 8 << 20
"""Their total size, so that large documents do not make a process large."""
_GROWTH = 64
"""How much larger the next chunk may be: the size of one document says little about others."""


class TemplateSource:
    """The documents of one collection under one seed."""

    def __init__(self, content: Record, seed: int) -> None:
        self._content = content
        self._seed = seed
        self._at_once = 1

    def generate(self, start: int, stop: int) -> EncodedBatch:
        """Return the documents ``[start, stop)``."""
        batches = []
        while start < stop:
            end = min(start + self._at_once, stop)
            batches.append(self._chunk(np.arange(start, end, dtype=np.uint64)))
            start = end
        return EncodedBatch.join(batches) if batches else EncodedBatch.of([])

    def documents_at(self, indexes: Sequence[int]) -> list[bytes]:
        """Return the documents with these indexes: the first alone, which shows their size."""
        documents: list[bytes] = []
        while len(documents) < len(indexes):
            start = len(documents)
            chunk = self._chunk(np.array(indexes[start : start + self._at_once], dtype=np.uint64))
            documents += map(bytes, chunk.documents())
        return documents

    def _chunk(self, indexes: NDArray[np.uint64]) -> EncodedBatch:
        rows = Rows.documents(self._seed, indexes)
        data, offsets = lay_out(Layout(self._content.document(rows)), len(rows))
        batch = EncodedBatch(data, offsets)
        mean = batch.size_bytes // len(batch) + 1
        grown = self._at_once * _GROWTH
        self._at_once = max(1, min(MOST_AT_ONCE, BYTES_AT_ONCE // mean, grown))
        return batch


def capacities(record: Record) -> Iterator[tuple[str, int]]:
    """Return each field that cannot repeat a value, and for how many documents its values last."""
    for field in record.fields.values():
        yield from _capacities(field, 1)


def _capacities(field: Field, a_document: int) -> Iterator[tuple[str, int]]:
    most = field.column.capacity()
    if most is not None:
        yield field.path, most // a_document
    a_document *= field.column.most_elements()
    for inner in field.column.nested():
        yield from _capacities(inner, a_document)
