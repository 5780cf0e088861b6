"""Finish a generation run once every document is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bson import encode

from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.errors import RunFailed, TerminalError
from dataworks_tasks.generate.aggregators.aggregate import AggregationAttempt, aggregate
from dataworks_tasks.generate.aggregators.aggregation import Aggregation
from dataworks_tasks.generate.aggregators.aggregation_write import RefusedUpdate
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.choices import OnError
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob
from dataworks_tasks.store.build_index import build_indexes
from dataworks_tasks.store.metadata import list_indexes

Asked = tuple[Namespace, Sequence[Mapping[str, Any]], Sequence[Aggregation]]
"""A collection, its indexes, and its fields that come from other collections."""


class _Position(NamedTuple):
    """How many steps are done, and the ``_id`` that the next one has reached."""

    step: int
    after: Element | None = None

    @classmethod
    def read(cls, text: str) -> _Position:
        step, _, key = text.partition(":")
        data = bytes.fromhex(key)
        return cls(int(step or 0), Element(data[0], b"", data[1:]) if data else None)

    def __str__(self) -> str:
        if self.after is None:
            return str(self.step)
        return f"{self.step}:{bytes((self.after.type,)).hex()}{self.after.value.hex()}"


def finish_generation(context: RunContext, asked: Sequence[Asked], lease: FinishLease) -> bool:
    """Build the template's indexes: one build over all documents is faster than many updates.

    Then compute the fields that come from other collections, which indexes speed up. False when
    ``lease`` was over before the end. Raises RunFailed for an index that cannot be built.
    """
    done = _Position.read(lease.position)
    step = 0
    for namespace, indexes, _ in asked:
        if indexes and step >= done.step and not _indexed(context, namespace, indexes, lease):
            return False
        step += 1
    for aggregation in (aggregation for _, _, several in asked for aggregation in several):
        after = done.after if step == done.step else None
        if step >= done.step and not _aggregated(context, aggregation, step, after, lease):
            return False
        step += 1
    return True


def _indexed(
    context: RunContext,
    namespace: Namespace,
    indexes: Sequence[Mapping[str, Any]],
    lease: FinishLease,
) -> bool:
    indexes = _to_build(context, namespace, indexes)
    if not indexes:
        return True
    try:
        built = build_indexes(context.target, namespace, indexes, lease)
    except TerminalError as error:
        raise RunFailed(
            f"the template's indexes cannot be built on {namespace}: {error.fact}",
            f"Fix the documents there, then: dataworks resume {context.spec.run_id}; or fix the "
            "template and start again with --drop",
        ) from None
    parts = context.spec.job.parts if isinstance(context.spec.job, GenerationJob) else ()
    for part in parts:
        if part.namespace == namespace:
            context.learn_index_speed(namespace, part.indexes, built.seconds)
    return built.complete


def _to_build(
    context: RunContext, namespace: Namespace, indexes: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """Leave out unique indexes that were built while the collection was empty, where they must be.

    A second request would be refused, because there are documents now.
    """
    if not context.target.capabilities.unique_indexes_while_empty:
        return indexes
    there = {index["name"] for index in list_indexes(context.target, namespace)}
    return [index for index in indexes if not (index.get("unique") and index["name"] in there)]


def _aggregated(
    context: RunContext,
    aggregation: Aggregation,
    step: int,
    after: Element | None,
    lease: FinishLease,
) -> bool:
    def note(key: Element) -> None:
        lease.note(str(_Position(step, key)))

    def refuse(refused: Sequence[RefusedUpdate]) -> None:
        _record_refused(context, aggregation, refused)

    attempt = AggregationAttempt(
        context.spec.write_concern, context.rate_limiter, after, note, lease, refuse
    )
    if not aggregate(context.target, aggregation, attempt):
        return False
    lease.note(str(_Position(step + 1)))
    return True


def _record_refused(
    context: RunContext, aggregation: Aggregation, refused: Sequence[RefusedUpdate]
) -> None:
    """Record which documents did not get their value. Raises RunFailed if that ends it."""
    spec, namespace = context.spec, aggregation.namespace
    failures = [
        document_failure(
            namespace,
            encode({"_id": update.query["_id"]}),
            f"{aggregation.target} could not be written: {reason}",
        )
        for update, reason in refused
    ]
    context.ledger.record_failures(spec.run_id, failures)
    count = context.ledger.progress(spec.run_id).failures
    if spec.on_error is OnError.STOP or count > spec.max_failures:
        first = failures[0]
        raise RunFailed(
            f"document {first.document_id} of {namespace} was refused: {first.reason}",
            f"See them all with: dataworks failures {spec.run_id}",
        )
