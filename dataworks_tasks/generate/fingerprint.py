"""A digest of a few documents shows whether this machine makes the same ones as the producer's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.runs.reproducibility import made_otherwise
from dataworks_tasks.runs.spec import GenerationJob

_PROBED = 5


def probed_indexes(count: int) -> list[int]:
    """Return the documents that a fingerprint of ``count`` documents includes."""
    return list(range(0, count, max(1, count // _PROBED)))[:_PROBED]


def document_fingerprint(probed: Iterable[bytes]) -> str:
    """Return a digest of the documents that are at ``probed_indexes`` of each source."""
    digest = blake2b(digest_size=16)
    for document in probed:
        digest.update(document)
    return digest.hexdigest()


def check_document_fingerprint(
    job: GenerationJob, sources: Sequence[tuple[DocumentSource, int]]
) -> None:
    """Raise SpecRefused when this process makes other documents than the producer did.

    Each source comes with its count.
    """
    probed = (
        document
        for source, count in sources
        for document in source.documents_at(probed_indexes(count))
    )
    if document_fingerprint(probed) != job.probe_digest:
        raise made_otherwise("documents", job.made_with)
