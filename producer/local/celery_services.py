"""What Celery runs: a worker with its pool, and Flower.

Their temporary files, including the workers' liveness files, are in the services' own folder and
are removed with it, however the processes end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM, Signals

from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.probe import http_answers
from producer.local.service_definition import LOOPBACK, ServiceSite

CELERY_STAGE = 0
APPLICATION = "dataworks_tasks"

_TASK_COLUMNS = "name,args,kwargs,state,received,runtime,worker"
"""Flower's own choice leaves out what distinguishes one range from another."""


@dataclass(frozen=True, slots=True)
class CeleryWorker:
    """A prefork worker. ``environment`` is laid over this process's own."""

    environment: Mapping[str, str] = field(repr=False)
    name: str = "worker"
    concurrency: int = 1
    application: str = APPLICATION
    arguments: tuple[str, ...] = ()
    """Further arguments of ``celery worker``."""
    grace_seconds: float = 5.0
    """For tasks that run when it is stopped; an interrupted one is delivered or sent again."""
    stop_signal: Signals = SIGTERM
    """SIGKILL suits a worker whose Redis goes too."""

    def command(self, site: ServiceSite) -> ChildCommand:
        """Run it in the folder of this process, from which it may import a user's own code."""
        return ChildCommand(
            name=self.name,
            arguments=(
                *(sys.executable, "-m", "celery", "-A", self.application, "worker"),
                *("--hostname", f"{self.name}@%h"),
                *("--concurrency", str(self.concurrency)),
                *("--loglevel", "INFO"),
                *("--without-gossip", "--without-mingle"),
                *self.arguments,
            ),
            environment={**os.environ, "TMPDIR": str(site.data), **self.environment},
            folder=Path.cwd(),
            log=site.log,
            # When orphaned: after SIGTERM it would wait for its tasks, and nothing would end the
            # wait.
            stop=StopPolicy(CELERY_STAGE, self.stop_signal, self.grace_seconds),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        """Return whether it consumes: then it logs ``NAME@HOST ready.``."""
        log = site.log_text()
        return any(f"{self.name}@" in line and " ready." in line for line in log.splitlines())

    def url(self, site: ServiceSite) -> None:
        """Return None: a worker has no address."""
        return


@dataclass(frozen=True, slots=True)
class Flower:
    """Celery's web page, on loopback. ``environment`` is laid over this process's own."""

    environment: Mapping[str, str] = field(repr=False)
    name: str = "flower"
    application: str = APPLICATION

    def command(self, site: ServiceSite) -> ChildCommand:
        """Run it without its database: its data is gone when it stops."""
        return ChildCommand(
            name=self.name,
            arguments=(
                *(sys.executable, "-m", "celery", "-A", self.application, "flower"),
                f"--address={LOOPBACK}",
                f"--port={site.port}",
                f"--tasks_columns={_TASK_COLUMNS}",
            ),
            environment={**os.environ, "TMPDIR": str(site.data), **self.environment},
            folder=Path.cwd(),
            log=site.log,
            stop=StopPolicy(stage=CELERY_STAGE, grace_seconds=2.0),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        """Return whether its health page answers."""
        return http_answers(site.port, "/healthcheck")

    def url(self, site: ServiceSite) -> str:
        """Return the address of its first page."""
        return f"http://{LOOPBACK}:{site.port}/"
