"""The budget for a run's reads from one of its servers."""

from __future__ import annotations

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.run_limits import LiveLimits
from dataworks_tasks.rate_limits.reads import SOURCE_REQUEST_UNITS, ReadRateLimiter
from dataworks_tasks.rate_limits.writes import REQUEST_UNITS
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.store.client import BaseDatabaseClient


def read_limiter(
    ledger: Ledger,
    spec: RunSpec,
    client: BaseDatabaseClient | None,
    limits: LiveLimits,
    *,
    of_source: bool,
) -> ReadRateLimiter | None:
    """Return the limiter of one side; None if reading costs no request units.

    An account that is both source and target has one budget for both.
    """
    if client is None or not client.capabilities.request_charge:
        return None
    if of_source and spec.source_fingerprint != spec.target_fingerprint:
        return ReadRateLimiter(
            ledger, spec.run_id, SOURCE_REQUEST_UNITS, lambda: limits.now().source_max_ru
        )
    return ReadRateLimiter(ledger, spec.run_id, REQUEST_UNITS, lambda: limits.now().max_ru)


def source_read_limiter(
    ledger: Ledger, spec: RunSpec, source: BaseDatabaseClient
) -> ReadRateLimiter | None:
    """Return the limiter of the source, for a process that does not open the run."""
    return read_limiter(ledger, spec, source, LiveLimits(ledger, spec), of_source=True)
