"""The result of a comparison for the ledger: counters, and a failure for each difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes
from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.verify.comparison import Comparison, Difference


def verification_result(
    namespace: Namespace, comparison: Comparison, first: int | None = None
) -> RangeResult:
    """Convert a comparison for the ledger: counters, and a failure per document.

    ``first`` is where the batch of generated documents begins in the run.
    """
    missing, extra = len(comparison.missing), len(comparison.extra)
    different = len(comparison.different)
    failures = list(_failures(namespace, comparison.missing, "missing at the target"))
    failures += _failures(namespace, comparison.extra, "not in the source")
    failures += [_different(namespace, difference) for difference in comparison.different]
    return RangeResult(
        {
            RunCounter.DOCUMENTS: comparison.equal + missing + extra + different,
            RunCounter.EQUAL: comparison.equal,
            RunCounter.MISSING: missing,
            RunCounter.EXTRA: extra,
            RunCounter.DIFFERENT: different,
            **comparison.rules,
        },
        tuple(failures if first is None else (replace(each, index=first) for each in failures)),
    )


def with_faults(result: RangeResult, faults: Sequence[DocumentFailure]) -> RangeResult:
    """Add documents that cannot be made to compare them: they are missing at the target."""
    if not faults:
        return result
    counters = Counter(result.counters)
    counters.update({RunCounter.DOCUMENTS: len(faults), RunCounter.MISSING: len(faults)})
    return RangeResult(counters, (*result.failures, *faults))


def _failures(
    namespace: Namespace, ids: Sequence[Element], reason: str
) -> Iterator[DocumentFailure]:
    before: Counter[Element] = Counter()
    for id_ in ids:
        yield _failure(namespace, id_, reason, before[id_])
        before[id_] += 1


def _different(namespace: Namespace, difference: Difference) -> DocumentFailure:
    if difference.at is None:
        return _failure(namespace, difference.id, "differs")
    field, expected, found = difference.at
    reason = f"differs at {field}: source {expected}, target {found}"
    return _failure(namespace, difference.id, reason)


def _failure(namespace: Namespace, id_: Element, reason: str, number: int = 0) -> DocumentFailure:
    return document_failure(namespace, assemble([element_bytes(id_)]), reason, number)
