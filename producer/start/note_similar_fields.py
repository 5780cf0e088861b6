"""Note fields whose spelling is close to a masked one and that are copied unchanged."""

from __future__ import annotations

import time
from collections.abc import Iterator

from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.sampling.similar_fields import similar_fields
from producer.sampling.source_sample import sample_collection

_SECONDS = 5.0
"""The time for sampling all collections; the rest are left out."""


def similar_field_notes(source: BaseDatabaseClient, job: MigrationJob) -> Iterator[RunNote]:
    """Yield a note for each such field of a sample.

    It needs attention unless the job allows unmatched rules.
    """
    if not (job.transform.mask or job.transform.drop):
        return
    until = time.monotonic() + _SECONDS
    for pair in job.namespaces:
        if time.monotonic() > until:
            return
        documents = sample_collection(source, pair.source).documents
        for found in similar_fields(job.transform, documents.documents()):
            text = (
                f"{found.path} is in {found.documents:,} of {len(documents):,} sampled documents "
                f"and copied as it is: the rule is for {found.named}, and names are exact"
            )
            attention = not job.allow_unmatched
            yield RunNote(NoteTopic.RULES, str(pair.source), text, attention)
