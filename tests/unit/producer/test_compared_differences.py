"""A cut-over believes a comparison only if it has ended."""

from __future__ import annotations

import pytest

from dataworks_tasks.errors import RunFailed
from dataworks_tasks.ledger.contract import FINISHED, RunState
from producer.cutover.compared_differences import compared_differences
from tests.unit.monitor.run_samples import progress


@pytest.mark.parametrize("state", sorted(set(RunState) - FINISHED))
def test_a_comparison_that_has_not_ended_finds_nothing_equal(state: RunState) -> None:
    """One that was cancelled from a page, or failed, has found no differences either."""
    with pytest.raises(RunFailed, match=f"is {state}: it has not ended"):
        compared_differences(progress(0, state=state), "mig-1")


def test_a_comparison_that_has_ended_counts() -> None:
    assert compared_differences(progress(0, state=RunState.COMPLETE), "mig-1") == 0
    assert compared_differences(progress(0, state=RunState.DIFFERENT, failures=3), "mig-1") == 3
