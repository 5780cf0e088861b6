"""The ids of runs: they begin with the kind, sort by time and read well."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

from dataworks_tasks.runs.spec import RunKind

_PREFIX = {
    RunKind.GENERATION: "gen",
    RunKind.MIGRATION: "mig",
    RunKind.VERIFICATION: "ver",
    RunKind.REPAIR: "rep",
}
RUN_ID = rf"(?:{'|'.join(_PREFIX.values())})-\d{{8}}-\d{{6}}-[0-9a-f]{{4}}"
"""A pattern of every id that ``new_run_id`` makes."""


def kind_of_run(run_id: str) -> RunKind | None:
    """Return the kind of run of an id made by ``new_run_id``."""
    return next((kind for kind, prefix in _PREFIX.items() if run_id.startswith(f"{prefix}-")), None)


def new_run_id(kind: RunKind, now: datetime | None = None) -> str:
    """Return an id that sorts by time and reads well, like ``gen-20261122-142501-7f3a``."""
    moment = now or datetime.now(UTC)
    return f"{_PREFIX[kind]}-{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def is_run_id(text: str) -> bool:
    """Return whether ``text`` has the form of a run's id, so that no run can have it as a name."""
    return re.fullmatch(RUN_ID, text) is not None
