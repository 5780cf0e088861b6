"""Compare again what a verification found to differ, while the source changes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from threading import Event

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.plugins import load_plugins
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from dataworks_tasks.sync.key_window import id_of_failure
from dataworks_tasks.sync.reconcile import KeyRoute
from dataworks_tasks.sync.routes import migration_routes
from dataworks_tasks.sync.still_different import still_different
from producer.connections import Connections

PATIENCE_SECONDS = 30.0
"""Differences count after this long without any key becoming equal."""
PATIENCE_BEFORE_REPAIR_SECONDS = 3.0
"""Shorter before a repair: changes on their way are reconciled once more, which does no harm."""
_PAUSE_SECONDS = 0.5
_KEYS_AT_ONCE = 500


def look_again(
    connections: Connections, spec: RunSpec, patience_seconds: float = PATIENCE_SECONDS
) -> int:
    """Clear differences of the verification ``spec`` that are over; return how many are left.

    A document that changes all the time is equal when the target has one of the versions that the
    source had around the comparison. Raises UsageError for a generation run.
    """
    job = spec.data_job
    if not isinstance(job, MigrationJob):
        raise UsageError(
            "--live is for migrations: documents of a generation run do not change",
            "Leave --live out",
        )
    load_plugins(connections.config.plugins)  # the run's strategy may come from a plugin
    ledger, run_id = connections.ledger, spec.run_id
    context = RunContext(spec, connections.config, ledger, connections.target, connections.source)
    routes = migration_routes(context, job)
    pairs = {str(pair.target): number for number, pair in enumerate(job.namespaces)}
    moved_at = time.monotonic()
    while (left := ledger.progress(run_id).failures) and (
        time.monotonic() - moved_at < patience_seconds
    ):
        for pair, failures in _by_pair(ledger.failures(run_id), pairs):
            over = _over(routes[pair], failures)
            if over:
                ledger.key_windows.clear_failures(run_id, over)
                moved_at = time.monotonic()
        Event().wait(_PAUSE_SECONDS)
    return left


def _by_pair(
    failures: Iterator[DocumentFailure], pairs: dict[str, int]
) -> Iterator[tuple[int, list[DocumentFailure]]]:
    while batch := list(islice(failures, _KEYS_AT_ONCE)):
        gathered: dict[int, list[DocumentFailure]] = {}
        for failure in batch:
            if failure.bson_id and failure.namespace in pairs:
                gathered.setdefault(pairs[failure.namespace], []).append(failure)
        yield from gathered.items()


def _over(route: KeyRoute, failures: Sequence[DocumentFailure]) -> list[str]:
    """Return the failures whose documents are equal now."""
    keys = [id_of_failure(failure.bson_id) for failure in failures]
    different = {each.bson_id for each in still_different(route, keys, twice=True)}
    return [failure.key for failure in failures if failure.bson_id not in different]
