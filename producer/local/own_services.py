"""Redis and workers that one command starts for itself, and that end with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from dataworks_tasks.errors import DataWorksError, UsageError
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.command_queue import command_queue
from dataworks_tasks.settings import FrameworkConfig
from producer.local.binaries import VALKEY, find_binary
from producer.local.celery_services import CeleryWorker
from producer.local.environment import worker_environment
from producer.local.keep_running import Restarts
from producer.local.known_redis import redis_is_set
from producer.local.services import LocalServices
from producer.local.services_record import find_local_services
from producer.local.valkey import Valkey
from producer.state_folder import STATE_FOLDER


@contextmanager
def own_redis(config: FrameworkConfig, folder: Path = STATE_FOLDER) -> Iterator[FrameworkConfig]:
    """Run Redis on the ledger that is kept in ``folder``; yield the settings that reach it."""
    with _services(folder) as services:
        yield _with_redis(config, services)


class OwnServices:
    """Workers for one command, and a Redis if none is set; a context manager.

    Nothing starts before it is needed, so that a request is refused first. The ledger stays in the
    folder, so that other commands can show the run and continue it. ``say`` is called with what is
    started, and with a line when a service had to be restarted.
    """

    def __init__(
        self,
        config: FrameworkConfig,
        profile: str | None,
        processes: int | None,
        say: Callable[[str], None],
        folder: Path = STATE_FOLDER,
    ) -> None:
        self.config = config.model_copy(update={"queue": command_queue(os.getpid())})
        """The settings that reach them."""
        self._profile = profile
        self._processes = processes or config.worker_processes
        self._say = say
        self._folder = folder
        self._has_redis = redis_is_set(config)
        self._services: LocalServices | None = None
        self._has_workers = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_redis(self) -> FrameworkConfig:
        """Start Redis if none is set and none was started; return the settings that reach it."""
        if not self._has_redis and self._services is None:
            self.config = _with_redis(self.config, self._open())
        return self.config

    def start_workers(self) -> None:
        """Start the workers, once."""
        if self._has_workers:
            return
        self._has_workers = True
        self._say(self.line)
        config = self.start_redis()
        services = self._services or self._open()
        environment = worker_environment(config, self._profile)
        services.start(CeleryWorker(environment, concurrency=self._processes))
        threading.Thread(target=self._keep_running, args=(services,), daemon=True).start()

    def _open(self) -> LocalServices:
        # Workers alone get a temporary folder: `dataworks local` may use the other one.
        services = (
            LocalServices.in_temporary_folder() if self._has_redis else _services(self._folder)
        )
        self._services = self._stack.enter_context(services)
        return services

    @property
    def line(self) -> str:
        """Return a line that says what is started."""
        processes = counted(self._processes, "worker process", "worker processes")
        if self._has_redis:
            return f"Starting {processes} for this command alone."
        return (
            f"No Redis is set: starting one here with {processes}, until this command ends "
            f"(the ledger stays in {self._folder}/)."
        )

    def _keep_running(self, services: LocalServices) -> None:
        restarts = Restarts(services, self._say)
        try:
            while services.is_open:
                restarts.wait()
        except DataWorksError as error:
            if services.is_open:
                self._say(str(error))


def _with_redis(config: FrameworkConfig, services: LocalServices) -> FrameworkConfig:
    address = str(services.start(Valkey(find_binary(VALKEY)))[0].url)
    return config.model_copy(update={"broker_url": SecretStr(address)})


def _services(folder: Path) -> LocalServices:
    running = find_local_services(folder)
    if running is not None:
        raise UsageError(
            f"another command of this folder has started a Redis for itself "
            f"(process {running.command_pid})",
            "Wait for it, use another folder, or start services that keep running: dataworks local",
        )
    return LocalServices(folder)
