"""Some schedules of faults with servers, elections and networks; their seeds are printed."""

from __future__ import annotations

import random

import pytest

from tests.faults.follow_faults import follow_faults
from tests.faults.schedules import say


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_schedules_of_faults_end_equal(stores_available: None) -> None:
    """``python -m tests.faults.follow_faults --seeds N`` repeats one."""
    with follow_faults() as faults:
        for seed in random.SystemRandom().sample(range(10**6), 5):
            say(seed, faults.schedule(seed))
