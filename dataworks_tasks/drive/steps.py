"""Every step of the driver.

To add one, write a ``driver_step.DriverStep``, name it here, and say in ``runs/driver_steps.py``
which runs need it.
"""

from __future__ import annotations

from socket import gethostname

from dataworks_tasks.drive.watch_messages import WatchMessages
from dataworks_tasks.driver_step import DriverStep
from dataworks_tasks.errors import BadMessage
from dataworks_tasks.slicing.plan_step import PlanSlices
from dataworks_tasks.sync.delete_scan import ScanDeletes
from dataworks_tasks.sync.follow_step import FollowChanges

STEPS: tuple[DriverStep, ...] = (PlanSlices(), FollowChanges(), ScanDeletes(), WatchMessages())


def step_named(name: str) -> DriverStep:
    """Return the step with this name. Raises BadMessage for an unknown name."""
    for step in STEPS:
        if step.name == name:
            return step
    raise BadMessage(
        "a message names a step of a run that this version does not know",
        f"Update DataWorks on {gethostname()}: pip install -U dataworks",
    )
