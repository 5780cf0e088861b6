"""A capped collection deletes its oldest documents: a run that does not fit is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dataworks_tasks.errors import UsageError
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.fingerprint import probed_indexes
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.spec import GenerationPart
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection


def check_capped(
    name: str, options: Mapping[str, Any], source: DocumentSource, count: int, held: int = 0
) -> None:
    """Raise UsageError if a collection with ``options`` cannot keep ``count`` documents more."""
    if not options.get("capped"):
        return
    documents = held + count
    most = options.get("max") or documents
    if documents > most:
        raise UsageError(
            f"{name} is capped at {counted(most, 'document')} and would get "
            f"{documents:,}: the server would delete the oldest",
            "Ask for fewer documents, or give the collection a larger max",
        )
    indexes = probed_indexes(count)
    size = sum(len(source.generate(index, index + 1).data) for index in indexes) / len(indexes)
    if documents * size > options["size"]:
        raise UsageError(
            f"{name} is capped at {options['size']:,} bytes, and {counted(documents, 'document')} "
            f"of {size:,.0f} bytes need more: the server would delete the oldest",
            "Ask for fewer documents, or give the collection a larger size",
        )


def check_capped_targets(
    target: BaseDatabaseClient,
    parts: Sequence[GenerationPart],
    sources: Sequence[DocumentSource],
    *,
    drop: bool,
) -> None:
    """Raise UsageError if an existing collection is capped and too small.

    One that is dropped is created again with its options.
    """
    if not target.capabilities.collection_stats:
        return
    for part, source in zip(parts, sources, strict=True):
        found = read_collection(target, part.namespace)
        if found is not None and found.options.get("capped"):
            held = 0 if drop else target.estimated_count(part.namespace)
            check_capped(str(part.namespace), found.options, source, part.count, held)
