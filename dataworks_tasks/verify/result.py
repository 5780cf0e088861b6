"""What a comparison is to the ledger: counters, and a failure for each difference."""

from __future__ import annotations

from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes
from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.verify.comparison import Comparison, Difference


def verification_result(namespace: Namespace, comparison: Comparison) -> RangeResult:
    """A comparison as the ledger keeps it: counters, and a failure for each document."""
    missing, extra = len(comparison.missing), len(comparison.extra)
    different = len(comparison.different)
    failures = [_failure(namespace, id_, "missing at the target") for id_ in comparison.missing]
    failures += [_failure(namespace, id_, "not in the source") for id_ in comparison.extra]
    failures += [_different(namespace, difference) for difference in comparison.different]
    return RangeResult(
        {
            RunCounter.DOCUMENTS: comparison.equal + missing + extra + different,
            RunCounter.EQUAL: comparison.equal,
            RunCounter.MISSING: missing,
            RunCounter.EXTRA: extra,
            RunCounter.DIFFERENT: different,
        },
        tuple(failures),
    )


def _different(namespace: Namespace, difference: Difference) -> DocumentFailure:
    if difference.at is None:
        return _failure(namespace, difference.id, "differs")
    field, expected, found = difference.at
    reason = f"differs at {field}: source {expected}, target {found}"
    return _failure(namespace, difference.id, reason)


def _failure(namespace: Namespace, id_: Element, reason: str) -> DocumentFailure:
    return document_failure(namespace, assemble([element_bytes(id_)]), reason)
