"""A run's spec as a file: the copy that is left when Redis has lost the run."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.read_spec import read_spec
from dataworks_tasks.runs.spec import RunSpec
from producer.state_folder import STATE_FOLDER

RUNS_FOLDER = STATE_FOLDER / "runs"
"""Where commands keep the specs of the runs that they started or continued."""

log = logging.getLogger(__name__)


def keep_spec(spec: RunSpec, folder: Path = RUNS_FOLDER) -> None:
    """Write the spec to the state folder of the current folder; it holds no secret.

    A run does not depend on the file, so if the folder cannot be written to, that is only logged.
    """
    path = folder / f"{spec.run_id}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        unfinished.write_text(spec.to_json() + "\n")
        unfinished.replace(path)
    except OSError as error:
        log.warning(
            "the spec of %s could not be saved in %s (%s); save it elsewhere with: "
            "dataworks status %s --spec > FILE",
            *(spec.run_id, folder, error.strerror, spec.run_id),
        )


def keep_name(name: str | None, spec: RunSpec, folder: Path = RUNS_FOLDER) -> None:
    """Keep the run's name beside its spec: for a shell that completes it, and when Redis is lost.

    If it cannot be written, ``keep_spec`` logs that.
    """
    if name is None:
        return
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"{name}.{os.getpid()}.tmp"
        unfinished.symlink_to(f"{spec.run_id}.json")
        unfinished.replace(folder / f"{name}.json")


def kept_name(spec: RunSpec, folder: Path = RUNS_FOLDER) -> str | None:
    """Return the name that ``keep_name`` kept for the run."""
    own = f"{spec.run_id}.json"
    links = (path for path in folder.glob("*.json") if path.is_symlink())
    return next((path.stem for path in links if path.readlink().name == own), None)


def load_spec(run: str, file: Path | None) -> RunSpec:
    """Load the spec of ``run``, an id or a name, from ``file`` or from the state folder.

    Raises UsageError if the file is missing or belongs to another run, and SpecRefused if it is
    damaged.
    """
    path = file or RUNS_FOLDER / f"{run}.json"
    try:
        spec = read_spec(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"the spec of {run} cannot be read from {path}: {error.strerror}",
            "Go to the folder that the run was started in, or give the file: --spec FILE",
        ) from None
    if run not in {spec.run_id, kept_name(spec)}:
        raise UsageError(f"{path} is the spec of {spec.run_id}", "Give the file of the same run")
    return spec
