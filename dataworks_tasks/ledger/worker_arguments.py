"""A worker's report as the arguments of a step."""

from __future__ import annotations

import json
from dataclasses import fields

from dataworks_tasks.ledger.contract import WorkerReport

_REPORTED = tuple(field.name for field in fields(WorkerReport))


def report_arguments(worker: WorkerReport | None) -> tuple[str, str]:
    """Return the worker's name and its report as JSON; empty without one."""
    if worker is None:
        return "", ""
    return worker.name, json.dumps({name: getattr(worker, name) for name in _REPORTED})
