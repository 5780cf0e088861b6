"""A compose service's command as a local service: the same words, on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.probe import http_answers
from producer.local.service_definition import ServiceSite
from tests.unit.deploy.compose_file import as_container_sees, services

FLOWER_PORT = "5555"


def container_environment(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return a container's environment: the image's programs, its own /tmp, its settings."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: os.environ[name] for name in ("LANG", "PYTHONPATH") if name in os.environ}
    return {**kept, "PATH": path, "HOME": str(folder), "TMPDIR": str(folder), **settings}


@dataclass(frozen=True, slots=True)
class ContainerCommand:
    """The command of the compose service ``service``, with a free port for Flower's own."""

    service: str
    environment: Mapping[str, str] = field(repr=False)
    ready_line: str = ""

    @property
    def name(self) -> str:
        """Unique among the services of the tests."""
        return f"compose-{self.service}"

    def command(self, site: ServiceSite) -> ChildCommand:
        """Run it as process 1 of a container would."""
        words = as_container_sees(services()[self.service]["command"])
        return ChildCommand(
            name=self.name,
            arguments=tuple(word.replace(FLOWER_PORT, str(site.port)) for word in words),
            environment=dict(self.environment),
            folder=site.data,
            log=site.log,
            stop=StopPolicy(stage=0, grace_seconds=20.0),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        """Whether it said so, or serves its page."""
        if self.ready_line:
            return self.ready_line in site.log_text()
        return http_answers(site.port, "/healthcheck")

    def url(self, site: ServiceSite) -> str:
        """Return the address of its page, if it has one."""
        return f"http://127.0.0.1:{site.port}"

    def health(self, port: int | None = None) -> subprocess.CompletedProcess[str]:
        """Run the service's health check."""
        kind, *words = services()[self.service]["healthcheck"]["test"]
        assert kind == "CMD"
        return subprocess.run(
            [word.replace(FLOWER_PORT, str(port)) for word in words],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
