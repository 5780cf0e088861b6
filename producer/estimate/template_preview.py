"""A preview of a template's collection: fields, sizes, indexes and the rate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.chunk_size import ChunkSize
from dataworks_tasks.generate.faulty_documents import generate_around_faults
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from producer.estimate.field_figures import FieldFigures, field_figures

SAMPLE = 10_000
_MOST_BYTES = 64_000_000
"""Size of a sample: it has fewer documents if they are large."""
_ENTRY_BYTES = 9
"""What an entry of an index has besides its key: a record id and the type of a value."""


@dataclass(frozen=True, slots=True)
class CollectionPreview:
    """What a sample of a collection's documents says about all of them."""

    sampled: int
    mean_bytes: float
    documents_per_second: float
    """The rate of one process that only generates, once its pools are filled."""
    fields: tuple[FieldFigures, ...]
    index_bytes: Mapping[str, float]
    """The bytes of an entry by index, before compression."""
    failures: Sequence[DocumentFailure] = ()
    """The documents that cannot be generated; they are not among the sampled ones."""

    def as_json(self) -> Mapping[str, Any]:
        """Field names and values for machines."""
        return {
            "sampled": self.sampled,
            "failures": len(self.failures),
            "mean_bytes": round(self.mean_bytes, 1),
            "documents_per_second": round(self.documents_per_second),
            "index_entry_bytes": {name: round(size, 1) for name, size in self.index_bytes.items()},
            "fields": [entry.as_json(self.sampled) for entry in self.fields],
        }


def preview_collection(
    source: DocumentSource,
    namespace: Namespace,
    indexes: Sequence[Mapping[str, Any]],
    sample: int = SAMPLE,
) -> CollectionPreview:
    """Generate a sample, count its fields, and measure how long a part of it takes again."""
    documents: list[bytes] = []
    failures: list[DocumentFailure] = []
    size = ChunkSize(1000, 5.0)
    start = total = 0
    while start < sample and total < _MOST_BYTES:
        wanted = BatchRange(start, start + size.of(sample - start))
        made = generate_around_faults(source, wanted, namespace)
        size.learn(len(made.batch), made.batch.size_bytes, 0)
        documents += made.batch.documents()
        failures += made.failures
        total += made.batch.size_bytes
        start = wanted.stop
    timed = min(len(documents), size.documents * 5)
    again = BatchRange(0, max(1, timed))
    generate_around_faults(source, again, namespace)  # fills the pools of words, as a worker does
    began = time.perf_counter()
    generate_around_faults(source, again, namespace)
    seconds = time.perf_counter() - began
    figures = field_figures(documents)
    by_path = {entry.path: entry for entry in figures}
    keys = {"_id_": ["_id"]} | {str(index["name"]): list(index["key"]) for index in indexes}
    return CollectionPreview(
        sampled=len(documents),
        mean_bytes=total / len(documents) if documents else 0.0,
        documents_per_second=timed / seconds if seconds else 0.0,
        fields=tuple(figures),
        index_bytes={name: _entry_bytes(by_path, fields) for name, fields in keys.items()},
        failures=failures,
    )


def _entry_bytes(by_path: Mapping[str, FieldFigures], fields: Sequence[str]) -> float:
    found = [by_path.get(path) or by_path.get(f"{path}[]") for path in fields]
    return _ENTRY_BYTES + sum(entry.mean_bytes if entry else 1.0 for entry in found)
