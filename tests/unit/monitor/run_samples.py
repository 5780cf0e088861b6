"""Progress of a run, made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dataworks_tasks.ledger.contract import RunProgress, RunState, WorkerReport

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a moment of the run."""
    return START + timedelta(seconds=seconds)


def progress(seconds: float, documents: int = 0, **changes: Any) -> RunProgress:
    """Return a run of 100,000 documents that was just acknowledged, with one worker."""
    counters = {"documents": documents, "bytes": documents * 1000, **changes.pop("counters", {})}
    values: dict[str, Any] = {
        "run_id": "gen-20260101-000000-0000",
        "state": RunState.RUNNING,
        "total": 100_000,
        "planned": 100_000,
        "acknowledged": documents,
        "gaps": 1,
        "failures": 0,
        "created_at": START,
        "finished_at": None,
        "last_acknowledged_at": at(seconds),
        "last_error": None,
        "documents_expected": 100_000,
        "workers": (WorkerReport("host:1", at(seconds).timestamp(), documents, 100_000_000),),
        **changes,
    }
    return RunProgress(counters=counters, **values)
