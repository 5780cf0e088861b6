"""A fleet that writes to a server which refuses: real writers and controller, virtual time.

``take_tokens.lua`` runs in a Lua interpreter of its own with a clock that we set.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, cast
from unittest.mock import patch

import bson
import numpy as np
from lupa import lua51  # type: ignore[import-untyped]

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.tokens import TokenGrant, TokenRequest
from dataworks_tasks.rate_limits import writes
from dataworks_tasks.rate_limits.writes import Budget, WriteRateLimiter
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store import bulk_write
from dataworks_tasks.store.bulk_write import WritePolicy, write_batch
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.write_outcome import WriteOutcome
from tests.support.virtual_time import VirtualTime

NAMESPACE = Namespace("shop", "orders")
ROUND_TRIP_SECONDS = 0.001


class LedgerInVirtualTime:
    """Runs the script as Redis does, on a hash of its own."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self.budget: dict[str, str] = {}
        lua = lua51.LuaRuntime(unpack_returned_tuples=True)
        source = (files("dataworks_tasks.ledger") / "take_tokens.lua").read_text()
        self._script = lua.execute(f"return function(KEYS, ARGV, redis) {source} end")
        self._table = lua.table_from
        self._redis = lua.table_from({"call": self._call})

    def _call(self, command: str, *arguments: Any) -> Any:
        if command == "TIME":
            microseconds = round(self._time.now * 1_000_000)
            parts = divmod(microseconds, 1_000_000)
            return self._table([str(part) for part in parts])
        _, name, *value = arguments
        if command == "HGET":
            return self.budget.get(name, False)
        if command == "HDEL":
            return sum(self.budget.pop(field, None) is not None for field in (name, *value))
        assert command == "HSET"
        self.budget[name] = value[0]
        return 1

    def take_tokens(self, run_id: str, request: TokenRequest) -> TokenGrant:
        arguments = [str(value) for value in request.script_arguments()]
        reply = self._script(self._table([run_id]), self._table(arguments), self._redis)
        return TokenGrant.from_reply([reply[number] for number in range(1, 5)])


@dataclass
class Server:
    """Refuses by chance and by capacity, document by document; both may change with time."""

    time: VirtualTime
    refused_share: Callable[[float], float] = lambda _second: 0.0
    capacity: Callable[[float], float | None] = lambda _second: None
    whole_requests: bool = False
    """Chance refuses requests, not documents."""
    retry_after: float | None = None
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    taken: list[tuple[float, int]] = field(default_factory=list)
    refused: list[tuple[float, int]] = field(default_factory=list)
    requests: int = 0
    _level: float = 0.0
    _filled_at: float = 1_000.0

    @property
    def second(self) -> float:
        return self.time.now - 1_000.0

    def insert(self, count: int) -> WriteOutcome:
        self.requests += 1
        share = self.refused_share(self.second)
        drawn = self.random.random() if self.whole_requests else self.random.random(count)
        refused = np.full(count, drawn < share)
        capacity = self.capacity(self.second)
        if capacity is not None:
            filled = self._level + (self.time.now - self._filled_at) * capacity
            self._level = min(capacity / 5, filled)
            refused |= np.cumsum(~refused) > int(self._level)
            self._level -= count - np.count_nonzero(refused)
        self._filled_at = self.time.now
        throttled = tuple(np.flatnonzero(refused).tolist())
        accepted = count - len(throttled)
        self.taken.append((self.second, accepted))
        self.refused.append((self.second, len(throttled)))
        delay = self.retry_after if throttled else None
        return WriteOutcome(accepted, throttled=throttled, delay_seconds=delay)

    def rate(self, since: float, until: float) -> float:
        """Documents accepted per second."""
        return _sum(self.taken, since, until) / (until - since)

    def share(self, since: float, until: float) -> float:
        """Return the share of documents refused."""
        refused = _sum(self.refused, since, until)
        return refused / max(1, refused + _sum(self.taken, since, until))


def _sum(events: Sequence[tuple[float, int]], since: float, until: float) -> int:
    return sum(count for moment, count in events if since <= moment < until)


class SimulatedClient(BaseDatabaseClient):
    """One process' client: a write takes a round trip and time for each document."""

    def __init__(self, server: Server, seconds_per_document: float) -> None:
        super().__init__(DatabaseConfig.model_validate({"connection_string": "mongodb://none"}))
        self._server = server
        self._seconds_per_document = seconds_per_document

    def insert(self, namespace: Namespace, batch: EncodedBatch, write_concern: str) -> WriteOutcome:
        seconds = ROUND_TRIP_SECONDS + len(batch) * self._seconds_per_document
        self._server.time.sleep(seconds)
        return self._server.insert(len(batch))


@dataclass
class Fleet:
    """``processes`` of ``writers`` threads, each process as fast as ``documents_per_second``."""

    server: Server
    processes: int = 4
    writers: int = 2
    documents_per_second: float = 16_000.0
    batch: int = 5_000
    joins_at: Callable[[int], float] = lambda _process: 0.0
    seed: int = 7
    parked_until: float = 0.0
    """The run is left alone until then, as ``send_window.lua`` parks it."""

    def __post_init__(self) -> None:
        self.ledger = LedgerInVirtualTime(self.server.time)

    def run(self, seconds: float) -> Server:
        """Write for so long."""
        bodies = [body for number in range(self.processes) for body in self._process(number)]
        random.seed(self.seed)  # of the writers' pauses
        self.server.random = np.random.default_rng(self.seed)
        with in_virtual_time(self.server.time):
            self.server.time.run(seconds, bodies)
        return self.server

    def _process(self, number: int) -> Iterator[Callable[[], None]]:
        time = self.server.time
        documents = EncodedBatch.of([bson.encode({"_id": 1})] * self.batch)
        client = SimulatedClient(self.server, self.writers / self.documents_per_second)
        limiter = WriteRateLimiter(
            cast("Ledger", self.ledger), "run", Budget(), in_request_units=False, sleep=time.sleep
        )

        def write() -> None:
            time.sleep(self.joins_at(number))
            limiter.begin_turn(among_others=False)
            while True:
                write_batch(client, NAMESPACE, documents, WritePolicy(), limiter)
                if limiter.short_seconds is not None:
                    self._park(limiter.short_seconds)
                    limiter.begin_turn(among_others=False)

        return iter([write] * self.writers)

    def _park(self, seconds: float) -> None:
        """Leave the message, as a worker does that waits for tokens, and take the next one."""
        time = self.server.time
        self.parked_until = time.now + seconds
        while time.now < self.parked_until:
            time.sleep(self.parked_until - time.now)


@contextmanager
def in_virtual_time(time: VirtualTime) -> Iterator[None]:
    with patch.object(writes, "time", time), patch.object(bulk_write, "time", time):
        yield
