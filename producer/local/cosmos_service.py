"""The Cosmos DB simulator as a service, in front of another service's mongod."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.probe import run_mongo_command
from producer.local.service_definition import LOOPBACK, ServiceSite, system_environment

COSMOS_STAGE = 1  # stopped with mongod, after the workers
_PROJECT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class CosmosService:
    """``target`` is the address of the mongod that keeps its documents; start that first."""

    target: str
    ru_per_second: float | None = None
    """The budget of the account; None: without limit."""
    server_version: str = "6.0"
    change_streams: bool = False
    name: str = "cosmos"

    def command(self, site: ServiceSite) -> ChildCommand:
        """Run it on loopback; it keeps nothing on disk."""
        budget = [] if self.ru_per_second is None else ["--ru", str(self.ru_per_second)]
        return ChildCommand(
            name=self.name,
            arguments=(
                *(sys.executable, "-m", "producer.cosmos_simulator"),
                *("--target", self.target),
                *("--port", str(site.port)),
                *("--server-version", self.server_version),
                *budget,
                *(["--change-streams"] if self.change_streams else []),
            ),
            environment={**system_environment(), "PYTHONPATH": str(_PROJECT)},
            folder=site.data,
            log=site.log,
            stop=StopPolicy(stage=COSMOS_STAGE, signal=SIGTERM, grace_seconds=2.0),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        """Return whether it answers for the mongod behind it."""
        answer = run_mongo_command(site.port, {"ping": 1})
        return answer is not None and bool(answer.get("ok"))

    def url(self, site: ServiceSite) -> str:
        """Return the connection string, as the simulator itself prints it."""
        return f"mongodb://{LOOPBACK}:{site.port}/?replicaSet=globaldb&retrywrites=false"
