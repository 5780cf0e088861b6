"""What a message may say: a run id and a range."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from celery import Celery

from dataworks_tasks.broker.broker_errors import broker_errors
from dataworks_tasks.broker.celery_settings import FIRST, LATER
from dataworks_tasks.errors import BadMessage
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.bounds import MAX_DOCUMENTS
from dataworks_tasks.runs.spec import MigrationJob, RunKind, RunSpec

GENERATE_RANGE = "dataworks.generate_range"
COPY_RANGE = "dataworks.copy_range"
VERIFY_RANGE = "dataworks.verify_range"
REPAIR_RANGE = "dataworks.repair_range"
FINISH_RUN = "dataworks.finish_run"
DRIVE_RUN = "dataworks.drive_run"
TASKS = (GENERATE_RANGE, COPY_RANGE, VERIFY_RANGE, REPAIR_RANGE, FINISH_RUN, DRIVE_RUN)
"""Every task that a run may need."""

TASK_OF = {
    RunKind.GENERATION: GENERATE_RANGE,
    RunKind.MIGRATION: COPY_RANGE,
    RunKind.VERIFICATION: VERIFY_RANGE,
    RunKind.REPAIR: REPAIR_RANGE,
}

_RUN_ID = re.compile(r"[a-z]{3}-[A-Za-z0-9-]{1,64}")
_STEP = re.compile(r"[a-z]{1,20}(-[a-z]{1,20})*")
_REMEDY = "Only dataworks itself should write to its queue"


@dataclass(frozen=True, slots=True)
class RangeMessage:
    """One batch range of one run."""

    kind: RunKind
    run_id: str
    range: BatchRange
    namespace: str = ""
    """A description for people who inspect the queue; no code reads it from the message."""

    def send(self, app: Celery, queue: str, priority: int = LATER, **options: Any) -> None:
        """Put it on the queue. Flower shows collection and range as arguments, and the run.

        Raises LedgerUnavailable when the broker does not answer.
        """
        with broker_errors():
            app.send_task(
                TASK_OF[self.kind],
                args=(self.run_id, self.range.start, self.range.stop),
                queue=queue,
                priority=priority,
                argsrepr=f"{self.namespace}{self.range}",
                kwargsrepr=repr({"run": self.run_id}),
                **options,
            )


def range_message(spec: RunSpec, chunk: BatchRange) -> RangeMessage:
    """Return the message for a range of the run, with the collection that it fills."""
    return RangeMessage(spec.kind, spec.run_id, chunk, _namespace(spec, chunk))


def _namespace(spec: RunSpec, chunk: BatchRange) -> str:
    job = spec.data_job
    if isinstance(job, MigrationJob):
        names = [str(pair.target) for pair in job.namespaces]
    else:
        names = [
            str(part.namespace)
            for part in job.parts
            if part.range.start < chunk.stop and chunk.start < part.range.stop
        ]
    return names[0] if len(names) == 1 else f"{len(names)} collections"


def send_finish(app: Celery, run_id: str, queue: str) -> None:
    """Ask a worker to finish the run; asking twice changes nothing.

    Raises LedgerUnavailable when the broker does not answer.
    """
    shown = repr({"run": run_id})
    with broker_errors():
        app.send_task(
            FINISH_RUN,
            args=(run_id,),
            queue=queue,
            priority=FIRST,
            argsrepr=run_id,
            kwargsrepr=shown,
        )


def send_step(
    app: Celery, run_id: str, step: str, queue: str, priority: int = LATER, **options: Any
) -> None:
    """Ask a worker to do a step of the run's driver; asking twice changes nothing.

    Raises LedgerUnavailable when the broker does not answer.
    """
    with broker_errors():
        app.send_task(
            DRIVE_RUN,
            args=(run_id, step),
            queue=queue,
            priority=priority,
            argsrepr=f"{step} {run_id}",
            kwargsrepr=repr({"run": run_id}),
            **options,
        )


def read_step(value: object) -> str:
    """Return the name of a step. Raises BadMessage when ``value`` is not one."""
    if not isinstance(value, str) or not _STEP.fullmatch(value):
        raise BadMessage("a message does not name a step of a run", _REMEDY)
    return value


def read_run_id(value: object) -> str:
    """Read the run id; raises BadMessage when it is not one."""
    if not isinstance(value, str) or not _RUN_ID.fullmatch(value):
        raise BadMessage("a message does not name a run id", _REMEDY)
    return value


def read_range(start: object, stop: object) -> BatchRange:
    """Read the range; raises BadMessage when it is not one."""
    for value in (start, stop):
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadMessage("a message's range is not made of whole numbers", _REMEDY)
    if not 0 <= start < stop <= MAX_DOCUMENTS:  # type: ignore[operator]
        raise BadMessage(f"a message's range is not within [0:{MAX_DOCUMENTS})", _REMEDY)
    return BatchRange(start, stop)  # type: ignore[arg-type]
