"""Give a run the name by which a restarted job finds it."""

from __future__ import annotations

import re

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.run_id import is_run_id
from dataworks_tasks.runs.spec import RunSpec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_STARTING_SECONDS = 60
"""A start that was killed before its run was recorded holds the name for this long."""


def name_run(ledger: Ledger, spec: RunSpec, name: str | None) -> None:
    """Give the run its name, before anything is dropped or recorded.

    Raises UsageError when another command is starting a run with that name.
    """
    if name is None:
        return
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a name for a run",
            "Use up to 100 letters, digits, dots, hyphens and underscores",
        )
    if is_run_id(name):
        raise UsageError(f"{name} has the form of a run's id", "Choose another --run-name")
    holder = ledger.name_run(name, spec.run_id, _STARTING_SECONDS)
    if holder != spec.run_id:
        raise UsageError(
            f"another command is starting the run named {name}",
            "Type the command again in a minute: it continues that run",
        )
