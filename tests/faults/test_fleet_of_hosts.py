"""A schedule of faults on a fleet of hosts; more of them: ``tests.faults.fleet_of_hosts``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.host_network import unavailable


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_runs_on_a_fleet_of_hosts_end_by_themselves(stores_available: None) -> None:
    reason = unavailable()
    if reason:
        pytest.skip(reason)
    # In namespaces of its own, and ended with this process.
    ended_too = ["setpriv", "--pdeathsig", "KILL"]
    done = subprocess.run(
        [*ended_too, sys.executable, "-m", "tests.faults.fleet_of_hosts", "--seeds", "4"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "exact after" in done.stdout
