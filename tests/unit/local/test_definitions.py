"""The commands of the services, as values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from producer.local.binaries import ServerBinary
from producer.local.celery_services import CeleryWorker, Flower
from producer.local.child_command import ChildCommand
from producer.local.mongod import Mongod
from producer.local.service_definition import ServiceDefinition, ServiceSite
from producer.local.valkey import Valkey, configuration

BINARY = ServerBinary(Path("/opt/server"), "v1")
ENVIRONMENT = {"FRAMEWORK_TARGET_DB_CONNECTION_STRING": "mongodb://user:hidden@example/"}


@pytest.fixture
def site(tmp_path: Path) -> ServiceSite:
    site = ServiceSite("service", tmp_path, 12345, temporary=False)
    site.data.mkdir(parents=True)
    site.log.parent.mkdir()
    return site


@pytest.mark.parametrize(
    "definition",
    [
        Valkey(BINARY),
        Mongod(BINARY),
        Mongod(BINARY, replica_set=True),
        CeleryWorker(ENVIRONMENT),
        CeleryWorker(ENVIRONMENT, stop_signal=SIGKILL),
        Flower(ENVIRONMENT),
    ],
)
def test_a_command_survives_the_way_to_the_supervisor(
    definition: ServiceDefinition, site: ServiceSite
) -> None:
    command = definition.command(site)
    assert ChildCommand.from_json(json.loads(json.dumps(command.to_json()))) == command


@pytest.mark.parametrize("definition", [CeleryWorker(ENVIRONMENT), Flower(ENVIRONMENT)])
def test_no_secret_is_printed_or_in_the_arguments(
    definition: ServiceDefinition, site: ServiceSite
) -> None:
    command = definition.command(site)
    assert command.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"].count("hidden") == 1
    assert "hidden" not in repr(definition) + repr(command) + " ".join(command.arguments)


def test_services_stop_before_the_servers_they_use(site: ServiceSite) -> None:
    stages = [
        definition.command(site).stop.stage
        for definition in (CeleryWorker({}), Mongod(BINARY), Valkey(BINARY))
    ]
    assert stages == sorted(set(stages))


@pytest.mark.parametrize("definition", [Mongod(BINARY), Valkey(BINARY)])
def test_only_servers_with_data_to_keep_are_asked_to_stop(
    definition: ServiceDefinition, site: ServiceSite
) -> None:
    kept = definition.command(site).stop
    assert (kept.signal, kept.orphan_signal) == (SIGTERM, SIGTERM)
    thrown_away = definition.command(replace(site, temporary=True)).stop
    assert (thrown_away.signal, thrown_away.orphan_signal) == (SIGKILL, SIGKILL)


def test_valkey_keeps_every_write_and_never_evicts() -> None:
    lines = configuration(6400, Path('/a "b"\\c')).splitlines()
    assert 'dir "/a \\"b\\"\\\\c"' in lines
    for line in ("appendonly yes", "maxmemory-policy noeviction", "bind 127.0.0.1", "port 6400"):
        assert line in lines


def test_mongod_listens_on_loopback_only(site: ServiceSite) -> None:
    arguments = Mongod(BINARY).command(site).arguments
    assert arguments[arguments.index("--bind_ip") + 1] == "127.0.0.1"
    assert "--nounixsocket" in arguments
    assert "--replSet" not in arguments


def test_the_addresses_name_the_port(site: ServiceSite) -> None:
    assert Valkey(BINARY).url(site) == "redis://127.0.0.1:12345/0"
    assert Mongod(BINARY).url(site) == "mongodb://127.0.0.1:12345/"
    assert Mongod(BINARY, replica_set=True).url(site) == "mongodb://127.0.0.1:12345/"
    assert Flower({}).url(site) == "http://127.0.0.1:12345/"


def test_a_worker_is_ready_when_this_start_says_so(site: ServiceSite) -> None:
    worker = CeleryWorker({}, name="w1")
    assert not worker.is_ready(site)
    site.log.write_text("[INFO/MainProcess] w1@host ready.\n")
    assert worker.is_ready(site)
    later = replace(site, log_start=site.log.stat().st_size)
    assert not worker.is_ready(later)
    with site.log.open("a") as log:
        log.write("[INFO/MainProcess] other@host ready.\n")
    assert not worker.is_ready(later)


def test_a_worker_is_asked_to_end_unless_nothing_of_it_is_needed(site: ServiceSite) -> None:
    assert CeleryWorker({}).command(site).stop.signal is SIGTERM
    assert CeleryWorker({}, stop_signal=SIGKILL).command(site).stop.signal is SIGKILL
