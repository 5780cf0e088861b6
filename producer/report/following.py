"""How a migration followed its source, as rows for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.later_pairs import LATER, later_pairs
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from dataworks_tasks.sync.follow_place import DDL, PLACE, FollowPlace, first_place
from producer.view.rate_chart import RatePoint

Row = tuple[str, str]


def described_following(
    ledger: Ledger, spec: RunSpec, lag: tuple[RatePoint, ...]
) -> tuple[Row, ...]:
    """Return names and values of a run that follows its source; empty for any other run."""
    job = spec.job
    if not isinstance(job, MigrationJob) or job.follow is None:
        return ()
    return tuple(_rows(ledger, spec, job, lag))


def _rows(
    ledger: Ledger, spec: RunSpec, job: MigrationJob, lag: tuple[RatePoint, ...]
) -> Iterator[Row]:
    part, windows = job.follow, ledger.key_windows
    if part is None:
        return
    kept = windows.place(spec.run_id, PLACE)
    place = FollowPlace.from_bytes(kept) if kept else first_place(part)
    yield "followed since", _moment(part.position.seconds or spec.created_at.timestamp())
    yield "position", _moment(place.time.time)
    yield "changes", f"{place.events:,}"
    if lag:
        highest = max(point.rate for point in lag)
        yield "lag", f"{lag[-1].rate:,.0f} s at the end, {highest:,.0f} s at most"
    yield "when collections change", f"--on-ddl {part.on_ddl}"
    if seen := json.loads(windows.place(spec.run_id, DDL) or b"[]"):
        yield "collections changed", ", ".join(seen)
    if later := later_pairs(windows.place(spec.run_id, LATER)):
        yield "collections created later", ", ".join(str(pair.source) for pair in later)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
