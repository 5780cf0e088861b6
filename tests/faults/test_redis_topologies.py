"""Redis behind Sentinels, whose primary is killed in the middle of a run; and Redis Cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
from redis.sentinel import Sentinel

from dataworks_tasks.broker.create_app import create_app
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.settings import FrameworkConfig
from producer.local.binaries import VALKEY, find_binary
from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.probe import redis_answers
from producer.local.service_definition import LOOPBACK, ServiceSite, free_port, system_environment
from producer.local.services import LocalServices, RunningService
from tests.fleet import Fleet, wait_until
from tests.support.exact import check_exact, generate_arguments

PASSWORD = "pa55word-of-redis"
MASTER = "dataworks"


@dataclass(frozen=True)
class Server:
    """A Valkey with this configuration and these arguments."""

    name: str
    lines: tuple[str, ...]
    arguments: tuple[str, ...] = ()

    def command(self, site: ServiceSite) -> ChildCommand:
        config = site.data / "server.conf"
        lines = (f"port {site.port}", f"bind {LOOPBACK}", f'dir "{site.data}"', *self.lines)
        config.write_text("\n".join(lines) + "\n")
        return ChildCommand(
            name=self.name,
            arguments=(str(find_binary(VALKEY).path), str(config), *self.arguments),
            environment=system_environment(),
            folder=site.data,
            log=site.log,
            stop=StopPolicy(stage=1, signal=signal.SIGKILL),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        return redis_answers(site.port) or "Ready to accept connections" in site.log_text()

    def url(self, site: ServiceSite) -> str:
        return f"{LOOPBACK}:{site.port}"


@pytest.fixture
def primary(own_services: LocalServices) -> RunningService:
    lines = ("appendonly yes", f"requirepass {PASSWORD}", f"masterauth {PASSWORD}")
    return own_services.start(Server("primary", lines))[0]


@pytest.fixture
def fleet(own_services: LocalServices, primary: RunningService, tmp_path: Path) -> Iterator[Fleet]:
    """Yield a fleet whose Redis is a primary and a replica behind a Sentinel."""
    host, _, port = str(primary.url).partition(":")
    replica = (f"replicaof {host} {port}", "appendonly yes", "repl-diskless-sync-delay 0")
    auth = (f"requirepass {PASSWORD}", f"masterauth {PASSWORD}")
    own_services.start(Server("replica", (*replica, *auth)))
    watching = (
        f"sentinel monitor {MASTER} {host} {port} 1",
        f"sentinel auth-pass {MASTER} {PASSWORD}",
        f"sentinel down-after-milliseconds {MASTER} 1000",
        f"sentinel failover-timeout {MASTER} 5000",
    )
    (sentinel,) = own_services.start(Server("sentinel", watching, ("--sentinel",)))
    own_services.start_mongod()
    mongodb_url = own_services.mongodb_url
    twice = f"{sentinel.url},{str(sentinel.url).replace(LOOPBACK, 'localhost')}"
    address = f"sentinel://:{PASSWORD}@{twice}/0?master={MASTER}"
    environment = {
        "FRAMEWORK_BROKER_URL": address,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": mongodb_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": mongodb_url,
        "FRAMEWORK_TARGET_DB_NAME": "shop",
        "FRAMEWORK_STALL_SECONDS": "2",
    }
    host, _, port = str(sentinel.url).partition(":")
    known = Sentinel([(host, int(port))], password=PASSWORD)
    wait_until(lambda: known.discover_slaves(MASTER), "the Sentinel sees the replica")
    with pymongo.MongoClient[dict[str, Any]](mongodb_url) as mongo:
        redis = known.master_for(MASTER)
        start = own_services.start_worker
        made = Fleet(environment, redis, mongo, "shop", tmp_path, lambda n=1: start(environment, n))
        yield made
        made.close()


def test_a_run_survives_the_loss_of_the_primary(fleet: Fleet, own_services: LocalServices) -> None:
    fleet.start_worker(2)
    total = 12_000
    before = fleet.redis.info("replication")["master_replid"]
    producer = fleet.start(*generate_arguments(fleet, total, "--max-rate", 2000))
    run_id = fleet.newest_run()
    fleet.wait_for_share(run_id, 0.2)
    # A replica that never had the run would be promoted, too: then only its last moments are lost.
    assert fleet.redis.wait(1, 20_000) == 1
    assert fleet.ledger.progress(run_id).state is RunState.RUNNING
    own_services.stop("primary", signal.SIGKILL)
    assert producer.wait(100) == 0
    check_exact(fleet, run_id, total)
    assert fleet.redis.info("replication")["master_replid"] != before
    app = create_app(FrameworkConfig(broker_url=fleet.environment["FRAMEWORK_BROKER_URL"]))
    stats = str(wait_until(lambda: app.control.inspect(timeout=1).stats(), "the worker answers"))
    assert f"'master_name': '{MASTER}'" in stats
    assert PASSWORD not in stats + own_services.log("worker").read_text()


def test_a_cluster_is_refused(own_services: LocalServices, tmp_path: Path) -> None:
    (node,) = own_services.start(
        Server("node", ("cluster-enabled yes", f"cluster-port {free_port()}"))
    )
    settings = {**os.environ, "FRAMEWORK_BROKER_URL": f"redis://{node.url}/0"}
    done = subprocess.run(
        [sys.executable, "-m", "producer", "runs"],
        env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Redis Cluster" in done.stderr
    assert "sentinel://" in done.stderr
