"""A short round of the soak test; the long one is ``make soak MINUTES=10``."""

from __future__ import annotations

import os
import random

from tests.faults.soak import soak


def test_a_few_random_faults(stores_available: None) -> None:
    """The printed seed repeats it: ``SOAK_SEED=... pytest tests/faults/test_soak.py``."""
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(2**32))
    record, said = soak(minutes=0.1, seed=seed)
    assert "| 0 | 0 |" in record.table()
    assert said.claim_more == 0
