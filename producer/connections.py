"""The producer's connections to ledger, databases and broker, closed however it ends.

Celery and the driver are imported when the first connection needs them: commands that only read the
ledger are quick.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Self

from dataworks_tasks.errors import LedgerUnavailable, SettingsError, StoreUnavailable, UsageError
from dataworks_tasks.ledger.connect import (
    Patience,
    connect_ledger,
    connect_redis,
    ledger_setting,
    one_silence,
)
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.transport_check import check_transport
from dataworks_tasks.runs.run_id import is_run_id
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.settings.fingerprints import Side, check_fingerprints

if TYPE_CHECKING:
    from celery import Celery

    from dataworks_tasks.store.client import BaseDatabaseClient
    from producer.local.own_services import OwnServices

_TO_SEND = (
    "dataworks_tasks.broker.create_app",
    "dataworks_tasks.broker.checked_transport",
    "producer.drive.attach",
)
"""What sends a run's first messages."""

_UNTRUSTED = "certificate verify failed"
"""OpenSSL's words for a server certificate of an unknown authority."""


class Connections:
    """Made once per command; connects on first use."""

    def __init__(
        self,
        config: FrameworkConfig,
        *,
        in_process: bool = False,
        alone: bool = False,
        services: OwnServices | None = None,
    ) -> None:
        """``in_process``: this process works on runs, instead of a fleet.

        ``alone``: no process works on a run after this command has ended. ``services``: those of
        this command alone, which are started when they are needed.
        """
        self.config = config if services is None else services.config
        self.alone = alone or services is not None
        self._services = services
        self._in_process = in_process
        self._stack = ExitStack()
        self._ledger: RedisLedger | None = None
        self._watched_ledger: RedisLedger | None = None
        self._app: Celery | None = None
        self._imports: Thread | None = None
        self._databases: dict[str, BaseDatabaseClient] = {}
        self._swapped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def ledger(self) -> RedisLedger:
        """The ledger, reached once to see that it answers."""
        if self._ledger is None:
            if self._services is not None:
                self.config = self._services.start_redis()
            url = self.config.effective_ledger_url.get_secret_value()
            setting = ledger_setting(self.config)
            redis = connect_redis(self.config)
            ledger = RedisLedger(redis, setting)
            self._stack.callback(ledger.close)
            if url.startswith("rediss://"):  # otherwise a server without TLS is silent for long
                check_transport(url, setting)
            try:
                with one_silence(redis):
                    ledger.ping()
            except LedgerUnavailable as error:
                check_transport(url, setting)
                host = public_address(url)
                raise UsageError(
                    f"Redis at {host} cannot be used: {error.fact}",
                    f"Give its CA file: {setting}=rediss://...?ssl_ca_certs=FILE"
                    if _UNTRUSTED in error.fact
                    else "Name another one with --broker, or start one: dataworks local"
                    if setting == "--broker"
                    else f"Name one with --broker, set {setting}, or start one: dataworks local"
                    if "broker_url" in self.config.model_fields_set
                    else "Run the command in the folder where the run was started, name a Redis "
                    "with --broker, or start one: dataworks local",
                ) from None
            self._ledger = ledger
        return self._ledger

    @property
    def watched_ledger(self) -> RedisLedger:
        """The ledger for looking at a run again and again: it fails after three silent seconds."""
        if self._watched_ledger is None:
            self.ledger  # noqa: B018
            self._watched_ledger = connect_ledger(self.config, Patience.WATCH)
            self._stack.callback(self._watched_ledger.close)
        return self._watched_ledger

    @property
    def app(self) -> Celery:
        """The Celery app, for sending."""
        if self._app is None:
            self.finish_imports()
            from dataworks_tasks.broker.create_app import create_app

            if self.config.ledger_url is not None:
                broker = self.config.broker_url.get_secret_value()
                check_transport(broker, self.config.called("BROKER_URL"))
            self._app = create_app(self.config)
            self._stack.callback(self._app.close)
        return self._app

    def reach_ledger(self) -> None:
        """See that the ledger answers, unless this command starts it later."""
        if self._services is None:
            self.ledger  # noqa: B018

    def start_workers(self) -> None:
        """Start the workers of this command alone, if it has some and they do not run yet."""
        if self._services is not None:
            self._services.start_workers()

    def begin_imports(self) -> None:
        """Import what sends messages in a thread, while this one waits for answers of servers.

        Until ``finish_imports``, nothing else may import Celery: it imports itself in circles.
        """
        if self._imports is None and not self._in_process:
            self._imports = Thread(target=lambda: [*map(import_module, _TO_SEND)], daemon=True)
            self._imports.start()

    def finish_imports(self) -> None:
        """Wait until everything is imported that ``begin_imports`` began with."""
        if self._imports is not None:
            self._imports.join()

    @property
    def source(self) -> BaseDatabaseClient:
        """The source database, reached once to see that it answers."""
        return self._database("target" if self._swapped else "source")

    @property
    def target(self) -> BaseDatabaseClient:
        """The target database, reached once to see that it answers."""
        return self._database("source" if self._swapped else "target")

    @property
    def run_queue(self) -> str:
        """The queue of the workers that drive new runs; empty if this process does the work."""
        return "" if self._in_process else self.config.queue

    def check_servers(self, spec: RunSpec) -> None:
        """Make source and target those of the run: in a reversed run they are swapped.

        Raises SpecRefused when this machine's settings reach servers other than the run's.
        """
        check_fingerprints(spec, self.config)
        self._swapped = spec.is_swapped

    def run_id(self, run: str) -> str:
        """Return the id of a run from its id or its --run-name."""
        return run if is_run_id(run) else self.ledger.named_run(run) or run

    def swap(self) -> None:
        """Exchange source and target."""
        self._swapped = not self._swapped

    def _database(self, side: Side) -> BaseDatabaseClient:
        config: DatabaseConfig | None = getattr(self.config, side)
        setting = self.config.called(f"{side.upper()}_DB_CONNECTION_STRING")
        if config is None:
            raise SettingsError(
                f"no {side} database is set",
                f"Name one: --{side} mongodb://HOST, set {setting}, or start one: dataworks local",
            )
        if side not in self._databases:
            from dataworks_tasks.store.create_client import create_database_client

            try:
                client = create_database_client(config)
                self._stack.callback(client.close)
                client.server_info()
            except SettingsError as error:
                at = f"the {side} database at {config.fingerprint}"
                raise SettingsError(f"{at}: {error.fact}", f"Check {setting}") from None
            except StoreUnavailable as error:
                raise UsageError(
                    f"the {side} database at {config.fingerprint} cannot be reached: {error.fact}",
                    f"Give its CA file in {setting}: tlsCAFile=FILE"
                    if _UNTRUSTED in error.fact
                    else f"Check {setting}, and that the server is running",
                ) from None
            self._databases[side] = client
        return self._databases[side]


def public_address(url: str) -> str:
    """Scheme, host and path of a URL, for messages."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
