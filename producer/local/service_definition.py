"""The definition of a service: how to start it at a site, when it is ready, and its address."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from producer.local.child_command import ChildCommand

LOOPBACK = "127.0.0.1"
SYSTEM_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)


@dataclass(frozen=True, slots=True)
class ServiceSite:
    """Where one start of a service takes place."""

    name: str
    folder: Path
    """The folder of all services; absolute."""
    port: int
    """A loopback port that was just free."""
    temporary: bool
    """Nothing in the folder is needed after the services stop."""
    log_start: int = 0
    """The size of the log in bytes when this start began."""

    @property
    def data(self) -> Path:
        """The service's own folder, kept from run to run."""
        return self.folder / "data" / self.name

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / "logs" / f"{self.name}.log"

    def log_text(self) -> str:
        """Return what the service has printed since this start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self.log_start)
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""


class ServiceDefinition(Protocol):
    """One kind of service. ``command`` may write files into ``site.data``, which exists."""

    @property
    def name(self) -> str:
        """Unique among the services of a folder."""
        ...

    def command(self, site: ServiceSite) -> ChildCommand:
        """Return the command that runs it at ``site``."""
        ...

    def is_ready(self, site: ServiceSite) -> bool:
        """Return whether it is ready; called every few milliseconds after the start."""
        ...

    def url(self, site: ServiceSite) -> str | None:
        """Its address for clients, None when it has none."""
        ...


def free_port() -> int:
    """Return a free loopback port; another process may still take it first."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def system_environment() -> dict[str, str]:
    """Return what a server needs from the environment: no setting and no secret."""
    return {name: os.environ[name] for name in SYSTEM_VARIABLES if name in os.environ}
