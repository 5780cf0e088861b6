"""A large copy in which everything is killed once; SOAK_DOCUMENTS says how large."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
import pytest
from pydantic import SecretStr

from dataworks_tasks.generate.templates.load_template import document_source, load_template
from dataworks_tasks.ledger.keys import RunKeys
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.create_client import create_database_client
from producer.local.services import LocalServices
from tests.fleet import Fleet, wait_until
from tests.support.exact import SEED, migrate_arguments

BYTES_PER_SLICE = 100
PRODUCER_GROWTH = 1.15


def fill(fleet: Fleet, total: int) -> None:
    """Service orders in ``source``, a batch in memory at a time."""
    source = document_source(load_template("service_order"), 0, SEED)
    url = SecretStr(fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"])
    with create_database_client(DatabaseConfig(connection_string=url)) as client:
        for start in range(0, total, 10_000):
            batch = source.generate(start, min(total, start + 10_000))
            assert client.insert(Namespace(fleet.database, "source"), batch, "1").written


@dataclass
class Watched:
    """What the run needs while it continues."""

    fleet: Fleet
    run_id: str
    producer: psutil.Process
    slice_bytes: list[float] = field(default_factory=list)
    producer_bytes: list[int] = field(default_factory=list)

    def look(self) -> None:
        """Take the ledger's and the producer's memory."""
        keys = list(self.fleet.redis.scan_iter(RunKeys(self.run_id).slices(0)[:-1] + "*"))
        slices = sum(self.fleet.redis.hlen(key) for key in keys)
        used = sum(self.fleet.redis.memory_usage(key) or 0 for key in keys)
        if slices >= 20:
            self.slice_bytes.append(used / slices)
        self.producer_bytes.append(self.producer.memory_info().rss)

    def until(self, documents: int) -> None:
        """Look again and again until so many are copied."""

        def reached() -> bool:
            self.look()
            counters = self.fleet.ledger.progress(self.run_id).counters
            return counters.get("documents", 0) >= documents

        wait_until(reached, f"{documents:,} documents", seconds=600)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_large_copy_is_equal_after_everything_was_killed(
    own_services: LocalServices, own_fleet: Fleet
) -> None:
    total = int(os.environ.get("SOAK_DOCUMENTS", "1000000"))
    fill(own_fleet, total)
    own_fleet.start_worker(2)
    producer = own_fleet.start(*migrate_arguments(own_fleet, batch_size=1000))
    run_id = own_fleet.newest_run()
    watched = Watched(own_fleet, run_id, psutil.Process(producer.pid))
    kills: list[Callable[[], object]] = [
        lambda: own_services.restart("worker", signal.SIGKILL),
        lambda: own_services.restart("mongod", signal.SIGKILL),
        producer.kill,
    ]
    for share, kill in zip((0.2, 0.45, 0.7), kills, strict=True):
        watched.until(int(share * total))
        kill()
    producer.wait()
    progress = _to_its_end(own_fleet, "resume", run_id)
    assert progress == {"state": "complete", "documents": total, "failures": 0}
    check = _to_its_end(own_fleet, "verify", run_id)
    assert check == {"state": "complete", "documents": total, "failures": 0}
    assert not list(own_fleet.redis.scan_iter(f"*{run_id}*slices*"))
    sys.stdout.write(
        f"{max(watched.slice_bytes):.0f} bytes a slice, "
        f"producer {min(watched.producer_bytes) >> 20} to {max(watched.producer_bytes) >> 20} MB\n"
    )
    assert max(watched.slice_bytes) < BYTES_PER_SLICE
    settled = watched.producer_bytes[len(watched.producer_bytes) // 4]
    assert watched.producer_bytes[-1] < PRODUCER_GROWTH * settled


def _to_its_end(fleet: Fleet, *arguments: object) -> dict[str, object]:
    producer = fleet.start(*arguments)
    output, _ = producer.communicate(timeout=900)
    assert producer.returncode == 0, output
    run_id = fleet.ledger.run_ids()[0]
    progress = fleet.ledger.progress(run_id)
    documents = progress.counters["documents"]
    return {"state": progress.state, "documents": documents, "failures": progress.failures}
