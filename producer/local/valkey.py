"""Valkey, or Redis: the broker and the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM

from producer.local.binaries import ServerBinary
from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.probe import redis_answers
from producer.local.service_definition import LOOPBACK, ServiceSite, system_environment

VALKEY_STAGE = 2


@dataclass(frozen=True, slots=True)
class Valkey:
    """A server with its own configuration, so that no acknowledged range is lost."""

    binary: ServerBinary
    name: str = "valkey"

    def command(self, site: ServiceSite) -> ChildCommand:
        """Write the configuration file and run the server with it."""
        config = site.data / "valkey.conf"
        config.write_text(configuration(site.port, site.data))
        return ChildCommand(
            name=self.name,
            arguments=(str(self.binary.path), str(config)),
            environment=system_environment(),
            folder=site.data,
            log=site.log,
            stop=StopPolicy(
                stage=VALKEY_STAGE,
                signal=SIGKILL if site.temporary else SIGTERM,
                orphan_signal=SIGKILL if site.temporary else SIGTERM,
            ),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        """Return whether it answers PING."""
        return redis_answers(site.port)

    def url(self, site: ServiceSite) -> str:
        """Return the ``redis://`` address of database 0."""
        return f"redis://{LOOPBACK}:{site.port}/0"


def configuration(port: int, folder: Path) -> str:
    """Return the text of ``valkey.conf``; Redis 6.2 and newer understand it too."""
    lines = (
        f"bind {LOOPBACK}",
        f"port {port}",
        "protected-mode yes",
        "daemonize no",
        f"dir {_quoted(str(folder))}",
        # Every write is in the log; a snapshot would only add a fork.
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        # A full server must refuse writes: evicting would lose messages and ranges.
        "maxmemory-policy noeviction",
        # 100,000 queued messages take 22 MB instead of 110 MB.
        "list-compress-depth 1",
    )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
