"""A worker whose clock is minutes off neither slows a run nor fails it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until

CLOCK = """
import os, time
_real = time.time
time.time = lambda: _real() + float(os.environ["CLOCK_AHEAD_SECONDS"])
"""


@pytest.mark.parametrize("ahead", [300])
def test_a_clock_that_is_off_gives_nothing_back(fleet: Fleet, tmp_path: Path, ahead: int) -> None:
    """Kombu's own record of deliveries is written and read in the time of Redis."""
    folder = tmp_path / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CLOCK)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    workers = [
        fleet.start_worker(1, {"PYTHONPATH": path, "CLOCK_AHEAD_SECONDS": str(ahead)}),
        fleet.start_worker(1),
    ]
    place = ("--database", fleet.database, "--collection", "orders", "--batch-size", 4000)
    run = fleet.run_json("generate", "service_order", "--total", 14_000, *place,
                         "--max-rate", 2000, "--detach")["run"]  # fmt: skip

    def deliveries() -> list[tuple[bytes, float]]:
        return fleet.redis.zrange("unacked_index", 0, -1, withscores=True)  # type: ignore[return-value]

    found = wait_until(deliveries, "messages are in hand")
    assert all(abs(time.time() - moment) < 60 for _, moment in found)
    fleet.wait_for_state(run, RunState.COMPLETE, 60)
    progress = fleet.ledger.progress(run)
    assert progress.counters["written"] == 14_000, "nothing was done twice"
    for worker in workers:
        assert "left alone" not in worker.site.log_text()
    assert "the clock of this machine is 300 s" in workers[0].site.log_text()
