"""The programs of a fleet of hosts: MongoDB on three, Redis on two, Sentinels, and four workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError
from redis import Redis, RedisError
from redis.sentinel import Sentinel

from dataworks_tasks.errors import TransientError
from producer.local.binaries import MONGOD, VALKEY, find_binary
from producer.local.mongod import ENGINE_CONFIGURATION
from producer.local.service_definition import system_environment
from tests.fleet import wait_until
from tests.support.host_network import Host, HostNetwork

CONSOLE = "console"
DATABASES = ("mongo1", "mongo2", "mongo3")
STORES = ("redis1", "redis2")
WORKERS = ("worker1", "worker2", "worker3", "worker4")
SENTINELS = ("redis1", "redis2", "worker1")
HOSTS = (*DATABASES, *STORES, *WORKERS)

_REPLICA_SET, _MASTER = "hosts", "dataworks"
_CLOCKS = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
# libfaketime 0.9.10 makes clock_nanosleep until a moment fail, which time.sleep() uses.
_SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""
_START_SECONDS = 180
_ALREADY_INITIALIZED = 23
_PROJECT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Program:
    """How a program of a host is started."""

    host: str
    name: str
    command: tuple[str, ...]
    environment: dict[str, str]


class HostFleet:
    """All programs, and what can be done to their hosts."""

    def __init__(self, network: HostNetwork, folder: Path) -> None:
        self.network, self.folder = network, folder
        self.logs = folder / "logs"
        self.logs.mkdir()
        at = network.addresses
        self.mongodb_url = (
            f"mongodb://{','.join(f'{name}:27017' for name in DATABASES)}/"
            f"?replicaSet={_REPLICA_SET}"
        )
        sentinels = ",".join(f"{at[name]}:26379" for name in SENTINELS)
        self.environment = {
            "FRAMEWORK_BROKER_URL": f"sentinel://{sentinels}/0?master={_MASTER}",
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": self.mongodb_url,
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING": self.mongodb_url,
            "FRAMEWORK_STALL_SECONDS": "2",
        }
        self.programs = [
            *(self._mongod(name) for name in DATABASES),
            *(self._valkey(name) for name in STORES),
            *(self._sentinel(name) for name in SENTINELS),
            *(self._worker(name) for name in WORKERS),
        ]

    def start(self) -> None:
        """Start everything, and wait until it works together."""
        for name in WORKERS:
            self.set_clock(name, 0.0)
        for name in HOSTS:
            self._start_programs(name)
        wait_until(self._initiated, "the replica set is initiated", _START_SECONDS)
        wait_until(self.primary, "the replica set has a primary", _START_SECONDS)
        wait_until(
            self._replica_is_known, "each Sentinel knows the replica and the others", _START_SECONDS
        )

    def power_off(self, name: str) -> None:
        """Kill everything on a host, of which the others hear nothing."""
        self.network.off.add(name)
        self.network.hosts[name].power_off()

    def power_on(self, name: str) -> None:
        """Start what runs on a host."""
        self.network.off.discard(name)
        self._start_programs(name)

    def freeze(self, name: str) -> None:
        """Let no process of a host run."""
        self.network.hosts[name].signal_all(SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let them run again."""
        self.network.hosts[name].signal_all(SIGCONT)

    def set_clock(self, name: str, seconds: float) -> None:
        """Let the clock of a host go ahead by so much, from the next second on."""
        written = self._clock(name).with_suffix(".new")
        written.write_text(f"{seconds:+f}\n")
        written.rename(self._clock(name))

    def host(self, name: str) -> Host:
        """Return a host by its name."""
        return self.network.hosts[name]

    def ended(self) -> list[str]:
        """Return the programs that ended by themselves."""
        return [f"{name}: {each}" for name in HOSTS for each in self.host(name).ended()]

    def primary(self) -> str | None:
        """Return the host whose mongod says that it is primary."""
        for name in DATABASES:
            with suppress(PyMongoError), _directly(name) as client:
                if client.admin.command("hello")["isWritablePrimary"]:
                    return name
        return None

    @contextmanager
    def redis(self) -> Iterator[Redis]:
        """Yield a client of the Redis that the Sentinels call primary."""
        hosts = [(self.network.addresses[name], 26379) for name in SENTINELS]
        waits: dict[str, Any] = {"socket_timeout": 2, "socket_connect_timeout": 2}
        sentinel = Sentinel(hosts, sentinel_kwargs=waits, **waits)
        client = sentinel.master_for(_MASTER)
        try:
            yield client
        finally:
            client.close()
            for each in sentinel.sentinels:
                each.close()

    def ask(self, question: Callable[[], Any]) -> Any:
        """Return what a question finds, or None while servers cannot be reached."""
        with suppress(TransientError, RedisError, PyMongoError):
            return question()
        return None

    def _start_programs(self, name: str) -> None:
        for each in self.programs:
            if each.host == name:
                folder = self._data(name, each.name)
                environment = {**each.environment, "TMPDIR": str(folder)}
                self.host(name).start(f"{name}-{each.name}", each.command, environment, self.logs)

    def _initiated(self) -> bool:
        members = [{"_id": n, "host": f"{name}:27017"} for n, name in enumerate(DATABASES)]
        settings = {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500}
        config = {"_id": _REPLICA_SET, "members": members, "settings": settings}
        with suppress(PyMongoError), _directly(DATABASES[0]) as client:
            # On a busy machine the answer may come too late: then it is initiated already.
            try:
                client.admin.command("replSetInitiate", config)
            except OperationFailure as error:
                return error.code == _ALREADY_INITIALIZED
            return True
        return False

    def _replica_is_known(self) -> bool:
        for name in SENTINELS:
            with Redis(self.network.addresses[name], 26379, socket_timeout=2) as client:
                found = self.ask(lambda client=client: client.sentinel_master(_MASTER))  # type: ignore[misc]
            if not found or (found["num-slaves"], found["num-other-sentinels"]) != (1, 2):
                return False
        return True

    def _mongod(self, name: str) -> Program:
        command = (
            *(str(find_binary(MONGOD).path), "--bind_ip_all", "--port", "27017"),
            *("--dbpath", str(self._data(name, "mongod")), "--replSet", _REPLICA_SET),
            *("--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"),
            *("--wiredTigerEngineConfigString", ENGINE_CONFIGURATION),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        )
        return Program(name, "mongod", command, system_environment())

    def _valkey(self, name: str) -> Program:
        own, first = self.network.addresses[name], self.network.addresses[STORES[0]]
        return self._store(name, "valkey", (), (
            f"bind {own}", "port 6379", "protected-mode no",
            "appendonly yes", 'save ""', "repl-diskless-sync-delay 0", "repl-timeout 5",
            *([f"replicaof {first} 6379"] if name != STORES[0] else []),
        ))  # fmt: skip

    def _sentinel(self, name: str) -> Program:
        own, first = self.network.addresses[name], self.network.addresses[STORES[0]]
        return self._store(name, "sentinel", ("--sentinel",), (
            f"bind {own}", "port 26379", "protected-mode no",
            f"sentinel monitor {_MASTER} {first} 6379 2",
            f"sentinel down-after-milliseconds {_MASTER} 1500",
            f"sentinel failover-timeout {_MASTER} 6000",
        ))  # fmt: skip

    def _store(
        self, host: str, name: str, more: tuple[str, ...], lines: tuple[str, ...]
    ) -> Program:
        # Written once: a failover changes the file.
        folder = self._data(host, name)
        config = folder / f"{name}.conf"
        config.write_text("\n".join((*lines, f'dir "{folder}"')) + "\n")
        command = (str(find_binary(VALKEY).path), str(config), *more)
        return Program(host, name, command, system_environment())

    def _worker(self, name: str) -> Program:
        command = (sys.executable, "-m", "producer", "worker", "--processes", "1")
        sleep = self._data(name, "sleep")
        (sleep / "sitecustomize.py").write_text(_SLEEP)
        clock = {
            "PYTHONPATH": f"{sleep}{os.pathsep}{_PROJECT}",
            "LD_PRELOAD": str(_CLOCKS),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock(name)),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        usual = {**os.environ, "PYTHONPATH": str(_PROJECT), **self.environment}
        return Program(name, "worker", command, {**usual, **(clock if _CLOCKS.exists() else {})})

    def _data(self, host: str, name: str) -> Path:
        folder = self.folder / host / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _clock(self, name: str) -> Path:
        return self.folder / f"{name}.clock"


def clocks_are_adjustable() -> bool:
    """Whether libfaketime is here."""
    return _CLOCKS.exists()


def _directly(name: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(
        f"mongodb://{name}:27017/?directConnection=true",
        serverSelectionTimeoutMS=1000,
        socketTimeoutMS=2000,
    )
