"""Local services: started for one command, and stopped when it ends, however it ends."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Self

from dataworks_tasks.errors import StoreUnavailable, UsageError
from producer.local.binaries import MONGOD, VALKEY, find_binary
from producer.local.celery_services import CeleryWorker
from producer.local.disk_space import because_of_disk, disk_is_full, writing_files
from producer.local.kept_ports import KeptPorts
from producer.local.mongod import Mongod
from producer.local.process_control import is_running
from producer.local.service_definition import ServiceDefinition, ServiceSite, free_port
from producer.local.services_record import LocalServicesRecord, read_record
from producer.local.supervisor_link import (
    SUPERVISOR,
    ServiceExit,
    SupervisorLink,
    supervisor_lost,
)
from producer.local.valkey import Valkey
from producer.state_folder import STATE_FOLDER

READY_LIMIT_SECONDS = 60.0
FIRST_POLL_SECONDS = 0.005
LONGEST_POLL_SECONDS = 0.05
PORT_ATTEMPTS = 5
MONGOD_ADDRESS_IN_USE = 48
LOG_LINES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class RunningService:
    """One start of a service."""

    definition: ServiceDefinition
    site: ServiceSite
    pid: int

    @property
    def name(self) -> str:
        """Its name among the services."""
        return self.definition.name

    @property
    def url(self) -> str | None:
        """Its address, when it has one."""
        return self.definition.url(self.site)


class LocalServices:
    """Real servers as children of this process; a context manager.

    The folder keeps data, logs and the record for other commands. Every method raises
    StoreUnavailable when a service does not start or the supervisor is gone, and UsageError if no
    program is found, the folder is in use, or a name is running or never ran.
    """

    supervisor = SUPERVISOR
    """The module that is run as their supervisor."""

    def __init__(self, folder: Path | None = STATE_FOLDER) -> None:
        """Prepare services in ``folder``; None: in a temporary folder that is removed with them."""
        self._temporary = folder is None
        self._wanted_folder = folder.absolute() if folder else None
        self._services: dict[str, RunningService] = {}
        self._ports: KeptPorts | None = None
        self.is_open = True
        """Whether they should run; False as soon as they are stopped."""

    @classmethod
    def in_temporary_folder(cls) -> Self:
        """Return services that leave nothing behind."""
        return cls(None)

    def __enter__(self) -> Self:
        wanted = self._wanted_folder
        self._link = SupervisorLink(
            ["--folder", str(wanted)] if wanted else ["--temporary"], self.supervisor
        )
        try:
            folder = self._link.wait_for_folder()
            if folder is None:
                raise _in_use(wanted or Path())
        except BaseException:
            self._link.close()
            raise
        self.folder = folder
        self._ports = None if self._temporary else KeptPorts(folder)
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False
        self._link.close()

    def start(self, *definitions: ServiceDefinition) -> list[RunningService]:
        """Start services at the same time and wait until each is ready."""
        with writing_files(self.folder):
            launched = [self._launch(definition) for definition in definitions]
            return [self._finish(service) for service in launched]

    def start_stores(self, replica_set: bool = False) -> None:
        """Start Valkey and mongod."""
        mongod = Mongod(find_binary(MONGOD), replica_set=replica_set)
        self.start(mongod, Valkey(find_binary(VALKEY)))

    def start_valkey(self) -> RunningService:
        """Start Valkey alone."""
        return self.start(Valkey(find_binary(VALKEY)))[0]

    def start_mongod(self, replica_set: bool = False) -> RunningService:
        """Start mongod alone."""
        return self.start(Mongod(find_binary(MONGOD), replica_set=replica_set))[0]

    def start_worker(
        self, environment: Mapping[str, str], concurrency: int = 1, name: str = "worker"
    ) -> RunningService:
        """Start a Celery worker; ``environment`` is laid over this process's own."""
        return self.start(CeleryWorker(environment, name, concurrency))[0]

    def stop(self, name: str, signal: Signals | None = None) -> int | None:
        """Stop a service, wait for it and return its exit code. Its data and its name stay."""
        returncode = self._link.stop(name, signal)
        self._services.pop(name, None)
        self._write_record()
        return returncode

    def restart(self, name: str, signal: Signals | None = None) -> RunningService:
        """Stop a service (with ``signal``) if it runs, start it on the same port, and wait."""
        service = self._service(name)
        site = replace(service.site, log_start=_size(service.site.log))
        pid = self._link.restart(name, signal)
        restarted = RunningService(service.definition, site, pid)
        if self._wait_until_ready(restarted) is not None:
            raise _did_not_start(restarted, self._link.returncodes[pid])
        with writing_files(self.folder):
            return self._add(restarted)

    def wait(self, timeout_seconds: float | None = None) -> ServiceExit | None:
        """Wait for a service that ends unasked; None when the time is over.

        Raises StoreUnavailable when the supervisor ends.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                ended = self._link.exits.get(timeout=left)
            except queue.Empty:
                return None
            if ended is None:
                self._link.exits.put(None)
                raise supervisor_lost()
            # Ignore one that was restarted since.
            if ended.pid in (service.pid for service in self._services.values()):
                return ended

    @property
    def supervisor_pid(self) -> int:
        """The process that holds the services."""
        return self._link.pid

    def pids(self) -> dict[str, int]:
        """Return the process of each running service, by name."""
        return {service.name: service.pid for service in self._running()}

    def urls(self) -> dict[str, str]:
        """Return the address of each running service that has one, by name."""
        return {service.name: service.url for service in self._running() if service.url}

    @property
    def redis_url(self) -> str:
        """Valkey's address, database 0."""
        return self._url("valkey")

    @property
    def mongodb_url(self) -> str:
        """The address of mongod, without a database."""
        return self._url("mongod")

    def log(self, name: str) -> Path:
        """Return the log file of a service."""
        return self._service(name).site.log

    def _launch(self, definition: ServiceDefinition) -> RunningService:
        port = self._ports.choose(definition.name) if self._ports else None
        site = ServiceSite(definition.name, self.folder, port or free_port(), self._temporary)
        site = replace(site, log_start=_size(site.log))
        site.data.mkdir(mode=0o700, exist_ok=True)
        return RunningService(definition, site, self._link.start(definition.command(site)))

    def _finish(self, service: RunningService) -> RunningService:
        for _ in range(PORT_ATTEMPTS):
            returncode = self._wait_until_ready(service)
            if returncode is None:
                return self._add(service)
            if not _address_in_use(service, returncode):
                raise _did_not_start(service, returncode)
            service = self._launch(service.definition)
        raise StoreUnavailable(f"{service.name} found no free port in {PORT_ATTEMPTS} attempts")

    def _wait_until_ready(self, service: RunningService) -> int | None:
        """Return None when the service is ready, or its return code if it ended instead.

        Raises StoreUnavailable if neither happens in time; then it is killed.
        """
        deadline = time.monotonic() + READY_LIMIT_SECONDS
        pause = FIRST_POLL_SECONDS
        while not service.definition.is_ready(service.site):
            if service.pid in self._link.returncodes:
                return self._link.returncodes[service.pid]
            if time.monotonic() > deadline:
                self._link.stop(service.name, SIGKILL)
                raise StoreUnavailable(
                    f"{service.name} was not ready within {READY_LIMIT_SECONDS:.0f} s"
                    f"{_last_lines(service)}",
                    f"See {service.site.log}",
                )
            self._link.check()
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)
        return None

    def _add(self, service: RunningService) -> RunningService:
        self._services[service.name] = service
        if self._ports:
            self._ports.keep(service.name, service.site.port)
        self._write_record()
        return service

    def _write_record(self) -> None:
        record = LocalServicesRecord(os.getpid(), self.supervisor_pid, self.pids(), self.urls())
        record.write(self.folder)

    def _running(self) -> list[RunningService]:
        ended = self._link.returncodes
        return [service for service in self._services.values() if service.pid not in ended]

    def _service(self, name: str) -> RunningService:
        if name not in self._services:
            raise UsageError(f"the local service {name} was not started")
        return self._services[name]

    def _url(self, name: str) -> str:
        return self._service(name).url or ""


def _in_use(folder: Path) -> UsageError:
    record = read_record(folder)
    if record is None:
        return UsageError(
            f"the local services in {folder} are starting or stopping",
            "Try again in a few seconds",
        )
    if not is_running(record.supervisor_pid):
        left = [str(pid) for pid in record.pids.values() if is_running(pid)]
        return UsageError(
            f"services of an earlier command still run in {folder}",
            f"Stop them with: kill {' '.join(left)}",
        )
    addresses = ", ".join(record.urls.values())
    return UsageError(
        f"local services are already running in {folder}: "
        f"process {record.command_pid} ({addresses})",
        f"Use those, or stop them with: kill {record.command_pid}",
    )


def _address_in_use(service: RunningService, returncode: int) -> bool:
    return (
        returncode == MONGOD_ADDRESS_IN_USE or "Address already in use" in service.site.log_text()
    )


def _did_not_start(service: RunningService, returncode: int) -> StoreUnavailable:
    if disk_is_full(service.site.folder):
        return StoreUnavailable(
            f"{service.name} ended with {returncode} before it was ready"
            f"{because_of_disk(service.site.folder)}",
            "Free space on it, or run dataworks in a folder on another disk",
        )
    return StoreUnavailable(
        f"{service.name} ended with {returncode} before it was ready{_last_lines(service)}",
        f"See {service.site.log}",
    )


def _last_lines(service: RunningService) -> str:
    lines = service.site.log_text().splitlines()[-LOG_LINES_SHOWN:]
    return "".join(f"\n  {line}" for line in lines)


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0
