"""The driver's step that cuts a run's collections into slices."""

from __future__ import annotations

from dataworks_tasks.driver_step import Drive
from dataworks_tasks.ledger.contract import WORKING
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.slicing.planning import Planner


class PlanSlices:
    """Plans for a turn, and then lets another process continue, after the messages that wait."""

    name = "plan"

    def belongs_to(self, spec: RunSpec) -> bool:
        """See DriverStep."""
        return spec.is_sliced

    def run(self, drive: Drive) -> float | None:
        """See DriverStep."""
        progress = drive.ledger.progress(drive.spec.run_id)
        if progress.total is not None or progress.state not in WORKING:
            return None
        planner = Planner(drive.ledger, drive.databases.source(), drive.spec)
        for _ in planner.plan():
            drive.queue.refill()
            if drive.lease.reached:
                return 0.0
        drive.queue.refill()
        progress = drive.ledger.progress(drive.spec.run_id)
        if progress.acknowledged == progress.total:
            drive.queue.send_finish()
        return None
