"""How many documents a cut-over's comparison found to differ."""

from __future__ import annotations

from dataworks_tasks.errors import RunFailed
from dataworks_tasks.ledger.contract import FINISHED, RunProgress


def compared_differences(check: RunProgress, run_id: str) -> int:
    """Return how many documents differ. Raises RunFailed if the comparison has not ended."""
    if check.state not in FINISHED:
        raise RunFailed(
            f"the comparison {check.run_id} is {check.state}: it has not ended",
            f"See why: dataworks status {check.run_id}; then: dataworks cutover {run_id}",
        )
    return check.differences
