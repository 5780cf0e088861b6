"""Collections that were added to a run after it began; they follow those of its job."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec

LATER = "later_collections"
"""The name of the list in a run's record."""


def later_pairs(data: bytes) -> tuple[NamespacePair, ...]:
    """Read the list."""
    return tuple(
        NamespacePair(
            source=Namespace.parse(source), target=Namespace.parse(target), source_uuid=uuid
        )
        for source, target, uuid in json.loads(data or b"[]")
    )


def with_pairs(data: bytes, more: Sequence[NamespacePair]) -> bytes:
    """Return the list with ``more`` at its end."""
    added = [[str(pair.source), str(pair.target), pair.source_uuid] for pair in more]
    return json.dumps([*json.loads(data or b"[]"), *added]).encode()


def with_later_pairs(spec: RunSpec, data: bytes) -> RunSpec:
    """Return the spec as if the run had started with these collections as well."""
    if not data or not isinstance(spec.job, MigrationJob):
        return spec
    namespaces = (*spec.job.namespaces, *later_pairs(data))
    job = spec.job.model_copy(update={"namespaces": namespaces})
    return spec.model_copy(update={"job": job})
