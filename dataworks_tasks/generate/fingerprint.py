"""A digest of a few documents shows whether this machine makes the same ones as the producer's."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.runs.reproducibility import made_otherwise
from dataworks_tasks.runs.spec import GenerationJob

_PROBED = 5


def probed_indexes(count: int) -> list[int]:
    """Return the documents that a fingerprint of ``count`` documents includes."""
    return list(range(0, count, max(1, count // _PROBED)))[:_PROBED]


def document_fingerprint(sources: Sequence[tuple[DocumentSource, int]]) -> str:
    """Return a digest of a few documents of each source; each comes with its count."""
    digest = blake2b(digest_size=16)
    for source, count in sources:
        for index in probed_indexes(count):
            digest.update(source.generate(index, index + 1).data)
    return digest.hexdigest()


def check_document_fingerprint(
    job: GenerationJob, sources: Sequence[tuple[DocumentSource, int]]
) -> None:
    """Raise SpecRefused when this process makes other documents than the producer did."""
    if document_fingerprint(sources) != job.probe_digest:
        raise made_otherwise("documents", job.made_with)
