"""The end of a cut-over that another command has completed."""

from __future__ import annotations

from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.sync.change_log import ChangeLog, change_log_namespace
from producer.connections import Connections


def end_cut_over(connections: Connections, spec: RunSpec) -> bool:
    """Return whether the run is already complete; remove what a killed cut-over left."""
    if not spec.follows or connections.ledger.state(spec.run_id) is not RunState.COMPLETE:
        return False
    ChangeLog(connections.target, change_log_namespace(spec)).drop()
    return True
