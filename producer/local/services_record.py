"""The record of running services, by which other commands in the same folder find them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from producer.local.folder_lock import folder_is_locked
from producer.local.process_control import is_running
from producer.state_folder import STATE_FOLDER

RECORD_FILE = "services.json"


@dataclass(frozen=True, slots=True)
class LocalServicesRecord:
    """What runs in a folder."""

    command_pid: int
    """The process that started the services and stops them when it ends."""
    supervisor_pid: int
    pids: dict[str, int]
    """The process of each running service, by name."""
    urls: dict[str, str]
    """The address of each running service that has one, by name."""

    @property
    def redis_url(self) -> str | None:
        """Valkey's address, when it runs."""
        return self.urls.get("valkey")

    @property
    def mongodb_url(self) -> str | None:
        """The address of mongod if it runs."""
        return self.urls.get("mongod")

    def write(self, folder: Path) -> None:
        """Replace the record in ``folder`` in one step, readable by its owner only."""
        path = folder / RECORD_FILE
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file, indent=2)
        draft.replace(path)


def read_record(folder: Path) -> LocalServicesRecord | None:
    """Read the record in ``folder``, which may be left over from earlier services."""
    try:
        return LocalServicesRecord(**json.loads((folder / RECORD_FILE).read_text()))
    except FileNotFoundError:
        return None


def find_local_services(folder: Path = STATE_FOLDER) -> LocalServicesRecord | None:
    """Return the services that run in ``folder`` now, or None.

    A left-over record does not count: the lock on the folder ends with the processes.
    """
    record = read_record(folder)
    if record and folder_is_locked(folder) and is_running(record.supervisor_pid):
        return record
    return None
