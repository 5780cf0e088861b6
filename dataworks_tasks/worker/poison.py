"""Find the document that kills every worker, and let the run continue without it."""

from __future__ import annotations

from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.errors import RunFailed
from dataworks_tasks.ledger.contract import DocumentFailure, RangeResult
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.ledger.windows import Release
from dataworks_tasks.migrate.migration_work import MigrationWork
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.choices import OnError
from dataworks_tasks.runs.spec import GenerationJob, RunKind, RunSpec
from dataworks_tasks.sync.follow_work import FollowWork
from dataworks_tasks.sync.repair_work import RepairWork
from dataworks_tasks.verify.migration import MigrationVerificationWork
from dataworks_tasks.worker.failures import check_failures
from dataworks_tasks.worker.process import WorkerProcess

_DEADLY, _DEADLY_ALONE = 2, 3
"""How many workers die on a range, or on a single document, before it counts as deadly."""
_PARTS = 10
_Sliced = MigrationWork | MigrationVerificationWork | FollowWork | RepairWork


def isolate(process: WorkerProcess, message: RangeMessage, deaths: int) -> Release | None:
    """Split the range until the document is alone; then record it as a failure.

    None: the range may be tried unchanged. Raises RunFailed if the run stops at failures.
    """
    spec, wanted = process.spec(message.run_id), message.range
    if not deaths:
        return None
    # The workers that died left no error: the status would show a run without progress and without
    # a reason.
    process.ledger.note_error(
        message.run_id,
        f"{counted(deaths, 'worker')} died while working on {wanted}: killed, out of memory, or "
        "hanging until a task's time limit",
    )
    if spec.is_sliced:
        return _isolate_in_slice(process, message, deaths)
    if deaths < (_DEADLY_ALONE if wanted.size == 1 else _DEADLY):
        return None
    if wanted.size > 1:
        return Release(list(wanted.split(-(-wanted.size // _PARTS))), progressed=True)
    failure = _failure(spec, wanted.start, deaths)
    if spec.on_error is OnError.STOP and spec.kind is not RunKind.VERIFICATION:
        process.ledger.record_failures(message.run_id, [failure])
        raise RunFailed(
            f"document {failure.document_id} of {failure.namespace}: {failure.reason}",
            f"See dataworks failures {message.run_id}",
        )
    process.ledger.acknowledge(message.run_id, wanted, RangeResult(_counters(spec), [failure]))
    check_failures(process.ledger, spec)
    return Release(progressed=True)


def _isolate_in_slice(process: WorkerProcess, message: RangeMessage, deaths: int) -> Release | None:
    spec, work = process.spec(message.run_id), process.open_run(message.run_id).work
    if not isinstance(work, _Sliced):
        raise TypeError(f"{spec.run_id} has slices")
    # Slices are worked on in order, so it was the first of those that are left.
    left = list(process.ledger.gaps(spec.run_id, message.range))
    part = work.isolate(left[0].start if left else message.range.start, deaths)
    if part is None:
        return None
    part.record(process.ledger, spec.run_id, process.report(0))
    if part.result.failures:
        check_failures(process.ledger, spec)
    is_done = not part.rest and sum(gap.size for gap in left) <= 1
    return Release([] if is_done else [message.range], progressed=True)


def _counters(spec: RunSpec) -> dict[str, int]:
    """Return the counters of a document that is given up: what was not compared is not equal."""
    is_verification = spec.kind is RunKind.VERIFICATION
    return {RunCounter.DOCUMENTS: 1, RunCounter.DIFFERENT: 1} if is_verification else {}


def _failure(spec: RunSpec, index: int, deaths: int) -> DocumentFailure:
    job = spec.data_job
    if not isinstance(job, GenerationJob):
        raise TypeError(f"{spec.run_id} has slices")
    part = next(part for part in job.parts if part.range.start <= index < part.range.stop)
    shown = f"#{index - part.first}"
    reason = f"every worker that tried it died ({deaths} of {deaths})"
    if spec.kind is RunKind.VERIFICATION:
        reason = f"not compared: {reason}"
    return DocumentFailure(f"{part.namespace}:{shown}", shown, str(part.namespace), reason)
