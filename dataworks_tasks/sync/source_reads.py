"""The budget for what a run reads from its source, in processes that do not open the run."""

from __future__ import annotations

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.rate_limits.reads import SOURCE_REQUEST_UNITS, ReadRateLimiter
from dataworks_tasks.rate_limits.writes import REQUEST_UNITS
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.store.client import BaseDatabaseClient


def source_read_limiter(
    ledger: Ledger, spec: RunSpec, source: BaseDatabaseClient
) -> ReadRateLimiter | None:
    """None where reading costs no request units.

    An account that is source and target has one budget for both.
    """
    if not source.capabilities.request_charge:
        return None
    if spec.source_fingerprint == spec.target_fingerprint:
        return ReadRateLimiter(ledger, spec.run_id, REQUEST_UNITS, spec.max_ru)
    return ReadRateLimiter(ledger, spec.run_id, SOURCE_REQUEST_UNITS, spec.source_max_ru)
