"""Which steps drive a run: the duties that it has besides its ranges.

A command that starts a run needs only their names; workers import the steps themselves.
"""

from __future__ import annotations

from dataworks_tasks.runs.spec import MigrationJob, RunKind, RunSpec

PLAN, FOLLOW, SCAN_DELETES, WATCH = "plan", "follow", "scan-deletes", "watch"


def step_names(spec: RunSpec) -> list[str]:
    """Return the names of the steps that drive the run."""
    needed = {
        PLAN: isinstance(spec.data_job, MigrationJob) and spec.kind is not RunKind.REPAIR,
        FOLLOW: spec.follows,
        SCAN_DELETES: delete_scan_seconds(spec) > 0,
        WATCH: True,
    }
    return [name for name, is_needed in needed.items() if is_needed]


def delete_scan_seconds(spec: RunSpec) -> float:
    """Return the seconds between two scans for deleted documents; 0 if there are no scans."""
    job = spec.job
    if not spec.follows or not isinstance(job, MigrationJob) or job.follow is None:
        return 0.0
    return job.follow.delete_scan_seconds
