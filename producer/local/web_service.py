"""The page for runs as a service of ``dataworks local``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from producer.local.celery_services import CELERY_STAGE
from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.probe import http_answers
from producer.local.service_definition import LOOPBACK, ServiceSite


@dataclass(frozen=True, slots=True)
class WebPages:
    """``dataworks web`` on loopback. ``environment`` is laid over this process's own."""

    environment: Mapping[str, str] = field(repr=False)
    name: str = "web"

    def command(self, site: ServiceSite) -> ChildCommand:
        """Run it on the port that it was given."""
        return ChildCommand(
            name=self.name,
            arguments=(
                *(sys.executable, "-m", "producer", "web"),
                *("--listen", f"{LOOPBACK}:{site.port}"),
            ),
            environment={**os.environ, "TMPDIR": str(site.data), **self.environment},
            folder=Path.cwd(),
            log=site.log,
            stop=StopPolicy(stage=CELERY_STAGE, grace_seconds=2.0),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        """Return whether its style sheet is served."""
        return http_answers(site.port, "/static/style.css")

    def url(self, site: ServiceSite) -> str:
        """Return the address of its first page."""
        return f"http://{LOOPBACK}:{site.port}/"
