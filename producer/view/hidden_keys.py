"""Runs and failures without the keys and values of documents, for people who must not see them."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from producer.view.run_summary import RunSummary

_VALUE = re.compile(
    r"""\{.*\}|"[^"]*"|'[^']*'|\b[0-9a-f]{24}\b|(?<![\w.])[-+]?\d[\w.:+-]*""", re.DOTALL
)
"""Extended JSON, text in quotes, ObjectIds, numbers and dates."""


def hidden_reason(reason: str) -> str:
    """Remove everything from a failure's reason that could be a document's key or value."""
    return _VALUE.sub("...", reason)


def hide_keys_of_run(run: RunSummary) -> RunSummary:
    """Remove documents' keys and values from the errors and differences of a summary."""
    return replace(
        run,
        last_error=None if run.last_error is None else hidden_reason(run.last_error),
        cause=None if run.cause is None else hidden_reason(run.cause),
        differences=tuple(
            replace(group, kind=hidden_reason(group.kind), first=[]) for group in run.differences
        ),
    )


def hide_keys_of_spec(spec: RunSpec) -> RunSpec:
    """Remove the filter, which may name documents, from the spec of a migration."""
    job = spec.data_job
    if not isinstance(job, MigrationJob) or job.filter is None:
        return spec
    hidden = job.model_copy(update={"filter": "(hidden)"})
    if spec.job is job:
        return spec.model_copy(update={"job": hidden})
    return spec.model_copy(update={"job": spec.job.model_copy(update={"of": hidden})})


def failure_json(failure: DocumentFailure, hide_keys: bool) -> dict[str, Any]:
    """Return a failure for programs, without the document's key if keys are hidden."""
    if not hide_keys:
        return asdict(failure)
    hidden = {"key": None, "document_id": None, "bson_id": None}
    return {**asdict(failure), **hidden, "reason": hidden_reason(failure.reason)}
