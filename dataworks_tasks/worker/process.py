"""What one worker process keeps between messages: connections, and the runs it works on."""

from __future__ import annotations

import resource
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.ledger.connect import connect_ledger
from dataworks_tasks.ledger.contract import Ledger, WorkerReport
from dataworks_tasks.ledger.run_limits import LiveLimits
from dataworks_tasks.plugins import load_plugins
from dataworks_tasks.range_work import RangeWork, RunContext
from dataworks_tasks.rate_limits.run_reads import read_limiter
from dataworks_tasks.rate_limits.writes import Budget, WriteRateLimiter
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.settings.fingerprints import Side, check_fingerprints, setting_side
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.worker.hand_keeper import HandKeeper
from dataworks_tasks.worker.identity import process_name
from dataworks_tasks.worker.turn_length import TurnLength
from dataworks_tasks.worker.work_factory import create_work

_RUNS_KEPT = 8
"""Runs take turns, and opening one costs more than a short turn."""
_SPECS_KEPT = 100


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that this process works on."""

    spec: RunSpec
    work: RangeWork
    rate_limiter: WriteRateLimiter
    turn: TurnLength = field(default_factory=TurnLength)


class WorkerProcess:
    """Create it after the fork; nothing connects before it is needed. Close it at the end."""

    def __init__(
        self, config: FrameworkConfig, generators: Sequence[BaseDataGenerator] = ()
    ) -> None:
        load_plugins(config.plugins)
        self.config = config
        self._generators = tuple(generators)
        self.ledger: Ledger = connect_ledger(config)
        self._clients: dict[str, BaseDatabaseClient] = {}
        self._runs: OrderedDict[str, OpenRun] = OrderedDict()
        self._specs: OrderedDict[str, RunSpec] = OrderedDict()
        self._refusals: dict[str, int] = {}
        self._documents = 0
        self.name = process_name()
        self.keeper = HandKeeper(self.ledger, self.name)

    def close(self) -> None:
        """Finish what is on the wire and close every connection."""
        self.keeper.close()
        while self._runs:
            self._runs.popitem()[1].work.close()
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def open_run(self, run_id: str) -> OpenRun:
        """Open the run and check its spec against this process, once.

        Raises SpecRefused, SettingsError or UnknownName if this process must not work on it.
        """
        known = self._runs.get(run_id)
        if known is None:
            spec = self.spec(run_id)
            check_fingerprints(spec, self.config)
            limits = LiveLimits(self.ledger, spec)
            limiter = self._rate_limiter(spec, limits)
            work = create_work(self._context(spec, limiter, limits), self._generators)
            known = OpenRun(spec, work, limiter)
            self._runs[run_id] = known
            if len(self._runs) > _RUNS_KEPT:
                self._runs.popitem(last=False)[1].work.close()
        self._runs.move_to_end(run_id)
        return known

    def spec(self, run_id: str) -> RunSpec:
        """Return the run's spec without checking it against this process."""
        known = self._specs.get(run_id)
        if known is None:
            known = self._specs[run_id] = self.ledger.spec(run_id)
            if len(self._specs) > _SPECS_KEPT:
                self._specs.popitem(last=False)
        return known

    def refused(self, run_id: str) -> int:
        """Count a refusal of the run by this process; return how many there were before."""
        before = self._refusals.get(run_id, 0)
        self._refusals[run_id] = before + 1
        return before

    def accepted(self, run_id: str) -> None:
        """Record that this process works on the run."""
        self._refusals.pop(run_id, None)

    def report(self, documents: int) -> WorkerReport:
        """Return a report of this process after ``documents`` more."""
        self._documents += documents
        return WorkerReport(self.name, time.time(), self._documents, peak_rss_bytes())

    def _rate_limiter(self, spec: RunSpec, limits: LiveLimits) -> WriteRateLimiter:
        return WriteRateLimiter(
            self.ledger,
            spec.run_id,
            lambda: Budget((now := limits.now()).max_rate, now.max_ru),
            in_request_units=self.client("target", spec).capabilities.request_charge,
        )

    def _context(
        self, spec: RunSpec, rate_limiter: WriteRateLimiter, limits: LiveLimits
    ) -> RunContext:
        source = self.client("source", spec) if spec.source_fingerprint is not None else None
        target = self.client("target", spec)
        return RunContext(
            spec,
            self.config,
            self.ledger,
            target,
            source,
            rate_limiter,
            source_reads=read_limiter(self.ledger, spec, source, limits, of_source=True),
            target_reads=read_limiter(self.ledger, spec, target, limits, of_source=False),
        )

    def client(self, of_run: Side, spec: RunSpec) -> BaseDatabaseClient:
        """Return the client of one side. Raises SettingsError if it is not set."""
        side = setting_side(spec, of_run)
        config: DatabaseConfig | None = getattr(self.config, side)
        if config is None:
            raise SettingsError(
                f"no {side} database is set",
                f"Name one: dataworks worker --{side} mongodb://HOST, "
                f"or set FRAMEWORK_{side.upper()}_DB_CONNECTION_STRING",
            )
        if side not in self._clients:
            client = create_database_client(config)
            client.warm_up()
            self._clients[side] = client
        return self._clients[side]


def peak_rss_bytes() -> int:
    """Return the most memory that this process has used."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
