"""Freed memory stays in the process, for the next batch."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
import numpy as np
from dataworks_tasks.worker.malloc_tuning import tune_malloc

if sys.argv[1] == "keep":
    tune_malloc()

def work():
    for _ in range(20):
        [np.ones(100_000, np.uint8) for _ in range(60)]

work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(mode: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(
    getattr(ctypes.CDLL(None), "mallopt", None) is None, reason="the C library has no mallopt"
)
def test_the_next_batch_takes_the_pages_of_the_last_one() -> None:
    assert _faults("keep") * 10 < _faults("return")
