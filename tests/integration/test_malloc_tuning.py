"""Freed memory stays in the process, for the next batch."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

_FAULTS = """
import resource
import numpy as np
from dataworks_tasks.worker.malloc_tuning import tune_malloc

def work():
    for _ in range(20):
        [np.ones(100_000, np.uint8) for _ in range(60)]

def faults():
    work()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

returned = faults()
tune_malloc()
print(returned, faults())
"""


@pytest.mark.skipif(
    getattr(ctypes.CDLL(None), "mallopt", None) is None, reason="the C library has no mallopt"
)
def test_the_next_batch_takes_the_pages_of_the_last_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True
    )
    returned, kept = map(int, done.stdout.split())
    assert kept * 10 < returned
