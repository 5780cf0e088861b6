"""Documents that will not arrive unchanged, as far as a sample shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pymongo.errors import ExecutionTimeout, PyMongoError

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.migrate.route import document_change
from dataworks_tasks.migrate.rules import rules_of
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.namespace import Namespace, series_of_buckets
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.document_rules import refused_documents
from dataworks_tasks.store.driver_errors import classify
from producer.estimate.concern import Concern
from producer.sampling.similar_fields import similar_fields

_SEARCH_MILLISECONDS = 3000


def document_concerns(
    target: BaseDatabaseClient,
    job: MigrationJob,
    pair: NamespacePair,
    sample: EncodedBatch,
    shard_key: str | None,
) -> Iterator[Concern]:
    """Yield what the rules or the strategy cannot change, and what the target refuses."""
    name, count = str(series_of_buckets(pair.source)), len(sample)
    changed = document_change(job, pair)(sample)
    if changed.refused:
        yield Concern(
            f"{len(changed.refused):,} of {count:,} sampled documents of {name}",
            changed.refused[0][1],
            "Correct the strategy or the rule; otherwise they are recorded as failures",
        )
    refused = Counter(refused_documents(changed.batch, target.capabilities, shard_key).values())
    if refused:
        (reason, _), total = refused.most_common(1)[0], refused.total()
        yield Concern(
            f"{total:,} of {count:,} sampled documents of {name}",
            reason,
            "Leave them out with --filter, or make them fit with a strategy; otherwise they are "
            "recorded as failures",
        )
    for rule, outcome in zip(rules_of(job.transform), changed.rules, strict=True):
        if outcome.unreached:
            yield Concern(
                f"{rule} in {name}",
                f"{counted(outcome.unreached, 'value')} on the path to the field, in {count:,} "
                "sampled documents, cannot hold it and would be copied unchanged",
                "Add a rule for the field that holds them",
            )
    yield from _similar_fields(job, name, sample)


def _similar_fields(job: MigrationJob, name: str, sample: EncodedBatch) -> Iterator[Concern]:
    for found in similar_fields(job.transform, sample.documents()):
        yield Concern(
            f"{found.path} of {name}, in {found.documents:,} of {len(sample):,} sampled documents",
            f"no rule names it, and there is one for {found.named}",
            "Add a rule for it: names are exact",
        )


def large_documents(
    source: BaseDatabaseClient, target: BaseDatabaseClient, namespace: Namespace
) -> Iterator[Concern]:
    """Search for a document that the target refuses for its size, for at most three seconds.

    Only if the target's limit is lower than the source's, and reading costs no request units.
    """
    limit = target.capabilities.max_document_json_bytes or target.capabilities.max_document_bytes
    asked = source.capabilities
    if limit >= asked.max_document_bytes or asked.request_charge:
        return
    pipeline: list[dict[str, Any]] = [
        {"$match": {"$expr": {"$gt": [{"$bsonSize": "$$ROOT"}, limit]}}},
        {"$limit": 1},
        {"$project": {"size": {"$bsonSize": "$$ROOT"}}},
    ]
    try:
        found = list(
            source.collection(namespace).aggregate(pipeline, maxTimeMS=_SEARCH_MILLISECONDS)
        )
    except ExecutionTimeout:
        return
    except PyMongoError as error:
        raise classify(error) from None
    name = series_of_buckets(namespace)
    for document in found:
        yield Concern(
            f"the document {document['_id']!r} of {name}, and perhaps others",
            f"it has {document['size']:,} bytes, and the target accepts {limit:,}",
            "Leave it out with --filter, or make it fit with a strategy; otherwise it is recorded "
            "as a failure",
        )
