"""Local services: found, kept, restarted, reported."""

from __future__ import annotations

import itertools
import os
import socket
import stat
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pymongo
import pytest
import redis

from dataworks_tasks.errors import StoreUnavailable, UsageError
from producer.local.child_command import ChildCommand, StopPolicy
from producer.local.process_control import is_running
from producer.local.service_definition import ServiceSite, free_port, system_environment
from producer.local.services import LocalServices
from producer.local.services_record import find_local_services

pytestmark = pytest.mark.usefixtures("stores_available")
LEAVER = """
import subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                        start_new_session=True)
print("ready", left.pid, flush=True)
left.wait()
"""


@dataclass(frozen=True)
class Program:
    """A service that runs a line of Python and is ready when it has printed ``ready``."""

    source: str
    name: str = "program"
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, site: ServiceSite) -> ChildCommand:
        return ChildCommand(
            name=self.name,
            arguments=(sys.executable, "-c", self.source),
            environment={**system_environment(), **self.environment},
            folder=site.data,
            log=site.log,
            stop=StopPolicy(stage=0, grace_seconds=0.2),
        )

    def is_ready(self, site: ServiceSite) -> bool:
        return "ready" in site.log_text()

    def url(self, _site: ServiceSite) -> None:
        return None


def test_data_stays_in_the_folder_and_others_find_the_services(tmp_path: Path) -> None:
    folder = tmp_path / 'state "of" ü'
    with LocalServices(folder) as services:
        services.start_stores()
        found = find_local_services(folder)
        assert found is not None
        assert found.redis_url == services.redis_url
        assert found.mongodb_url == services.mongodb_url
        assert found.pids == services.pids()
        assert found.supervisor_pid == services.supervisor_pid
        assert stat.S_IMODE((folder / "services.json").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with redis.Redis.from_url(services.redis_url) as client:
            client.set("kept", "yes")
        with pymongo.MongoClient[dict[str, Any]](services.mongodb_url) as documents:
            documents.kept.orders.insert_one({"_id": 7})
    assert find_local_services(folder) is None
    with LocalServices(folder) as services:
        services.start_stores()
        with redis.Redis.from_url(services.redis_url) as client:
            assert client.get("kept") == b"yes"
        with pymongo.MongoClient[dict[str, Any]](services.mongodb_url) as documents:
            assert documents.kept.orders.find_one() == {"_id": 7}


def test_a_second_command_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with LocalServices(tmp_path) as services:
        valkey = services.start_valkey()
        with (
            pytest.raises(UsageError, match=r"already running in .*: process .*redis://"),
            LocalServices(tmp_path),
        ):
            pass
        assert is_running(valkey.pid)


def test_a_record_that_was_left_behind_is_not_believed(tmp_path: Path) -> None:
    with LocalServices(tmp_path) as services:
        services.start_valkey()
        record = (tmp_path / "services.json").read_text()
    (tmp_path / "services.json").write_text(record)
    assert find_local_services(tmp_path) is None
    with LocalServices(tmp_path) as services:
        assert find_local_services(tmp_path) is None
        services.start_valkey()
        assert find_local_services(tmp_path) is not None


def test_stores_survive_sigkill_and_restart_on_the_same_port(own_services: LocalServices) -> None:
    own_services.start_stores()
    urls, pids = own_services.urls(), own_services.pids()
    with redis.Redis.from_url(own_services.redis_url) as client:
        client.set("kept", "yes")
        own_services.restart("valkey", SIGKILL)
        assert client.get("kept") == b"yes"
    with pymongo.MongoClient[dict[str, Any]](own_services.mongodb_url) as documents:
        orders = documents.kept.get_collection(
            "orders", write_concern=pymongo.WriteConcern(w=1, j=True)
        )
        orders.insert_one({"_id": 7})
        own_services.restart("mongod", SIGKILL)
        assert orders.find_one() == {"_id": 7}
    assert own_services.urls() == urls
    assert not set(own_services.pids().values()) & set(pids.values())


def test_the_stores_start_within_a_few_seconds(own_services: LocalServices) -> None:
    start = time.monotonic()
    own_services.start_stores(replica_set=True)
    # Measured: 0.7 to 1.0 s. The limit finds a wait that stopped polling, not a slow machine.
    assert time.monotonic() - start < 15
    with (
        pymongo.MongoClient[dict[str, Any]](own_services.mongodb_url) as client,
        client.start_session() as session,
    ):
        with session.start_transaction():
            client.kept.orders.insert_one({"_id": 7}, session=session)
        assert client.kept.orders.count_documents({}) == 1


def test_a_replica_set_follows_its_data_to_another_port(tmp_path: Path) -> None:
    for runs in (1, 2):
        with LocalServices(tmp_path) as services:
            services.start_mongod(replica_set=True)
            with pymongo.MongoClient[dict[str, Any]](services.mongodb_url) as client:
                client.kept.orders.insert_one({})
                assert client.kept.orders.count_documents({}) == runs


def test_a_service_that_ends_unexpectedly_is_reported(own_services: LocalServices) -> None:
    valkey = own_services.start_valkey()
    with redis.Redis.from_url(own_services.redis_url) as client:
        client.shutdown(nosave=True)
    ended = own_services.wait(10)
    assert ended is not None
    assert (ended.name, ended.pid, ended.returncode) == ("valkey", valkey.pid, 0)
    assert own_services.pids() == {}
    assert own_services.wait(0.01) is None


def test_a_service_that_was_restarted_is_not_reported(own_services: LocalServices) -> None:
    killed = own_services.start_valkey()
    os.kill(killed.pid, SIGKILL)
    own_services.restart("valkey")
    assert own_services.wait(0.1) is None


def test_a_service_that_dies_at_its_start_shows_its_last_lines(
    own_services: LocalServices,
) -> None:
    program = Program("import sys; sys.exit('no such option')")
    with pytest.raises(StoreUnavailable, match=r"program ended with 1 .*\n  no such option"):
        own_services.start(program)


def test_a_service_that_is_never_ready_is_killed(
    own_services: LocalServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.local.services.READY_LIMIT_SECONDS", 0.2)
    silent = Program("import time; time.sleep(600)")
    with pytest.raises(StoreUnavailable, match="program was not ready within"):
        own_services.start(silent)
    assert own_services.pids() == {}
    monkeypatch.undo()
    # Its name is free again.
    own_services.start(Program("import time; print('ready', flush=True); time.sleep(600)"))


def test_an_address_in_use_is_tried_again_on_another_port(
    own_services: LocalServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ports = itertools.chain([port, port], iter(free_port, None))
        monkeypatch.setattr("producer.local.services.free_port", lambda: next(ports))
        own_services.start_stores()
    assert str(port) not in "".join(own_services.urls().values())
    assert all(is_running(pid) for pid in own_services.pids().values())


@pytest.mark.skipif(sys.platform != "linux", reason="needs a subreaper")
def test_a_process_that_left_its_group_is_swept() -> None:
    with LocalServices.in_temporary_folder() as services:
        service = services.start(Program(LEAVER))[0]
        left = int(service.site.log_text().split()[1])
        assert is_running(left)
    assert not is_running(left)
    assert not is_running(service.pid)


def test_a_name_runs_once_and_must_be_known(own_services: LocalServices) -> None:
    own_services.start_valkey()
    with pytest.raises(UsageError, match="valkey is already running"):
        own_services.start_valkey()
    with pytest.raises(UsageError, match="no service is called 'mongod'"):
        own_services.stop("mongod")
    with pytest.raises(UsageError, match="mongod was not started"):
        _ = own_services.mongodb_url


def test_settings_do_not_reach_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEWORK_TARGET_DB_CONNECTION_STRING", "mongodb://u:hidden@example/")
    with LocalServices.in_temporary_folder() as services:
        pids = [services.supervisor_pid, services.start_valkey().pid]
        if sys.platform == "linux":
            for pid in pids:
                assert b"hidden" not in Path(f"/proc/{pid}/environ").read_bytes()
