"""The driver's step that cuts a run's collections into slices."""

from __future__ import annotations

from dataworks_tasks.driver_step import Drive, DriverStep
from dataworks_tasks.ledger.contract import WORKING
from dataworks_tasks.runs.driver_steps import PLAN
from dataworks_tasks.slicing.planning import Planner, needs_planning


class PlanSlices(DriverStep):
    """Plans for a turn, and then lets another process continue, after the waiting messages."""

    name = PLAN

    def run(self, drive: Drive) -> float | None:
        run_id = drive.spec.run_id
        if not needs_planning(drive.ledger, drive.spec):
            return None
        # Only an active run is planned; and Redis may have lost slices of a plan that counts as
        # complete.
        if not drive.ledger.set_going(run_id, WORKING, drive.queue.name):
            return None
        planner = Planner(drive.ledger, drive.databases.source(), drive.spec)
        for _ in planner.plan():
            drive.queue.refill()
            if drive.lease.reached:
                return 0.0
        drive.queue.refill()
        progress = drive.ledger.progress(run_id)
        if progress.acknowledged == progress.total:
            drive.queue.send_finish()
        return None
