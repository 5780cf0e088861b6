"""Request units: what an insert costs by its size, and what the server reports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import DataWorksError, TerminalError
from dataworks_tasks.store.connection_watch import ConnectionWatch
from dataworks_tasks.store.write_outcome import WriteOutcome

INSERT_1KB_RU = 5.5
"""An unindexed insert of 1 KB (docs/cosmos-facts.md section 3).

Indexes cost more: measurements correct the estimate.
"""
Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Runs a command on the database that the request went to."""
_KIBIBYTE = 1024
_ASK_EVERY_SECONDS = 0.05
_LEARNING = 0.2
"""Weight of the newest measurement in the learned ratio."""


def estimated_charge(documents: int, size_bytes: int) -> float:
    """Return the RU of inserting ``documents`` of ``size_bytes`` in all: 5.5 each, or per KB."""
    return INSERT_1KB_RU * max(float(documents), size_bytes / _KIBIBYTE)


class LearnedCost:
    """Ratio of reported to estimated insert cost, learned from the server."""

    def __init__(self) -> None:
        self.factor = 1.0
        self._learned = False

    def learn(self, estimated: float, measured: float) -> None:
        """Learn from a request that cost ``measured``; ``estimated`` is without the factor."""
        if estimated <= 0:
            return
        weight = _LEARNING if self._learned else 1.0
        self.factor += weight * (measured / estimated - self.factor)
        self._learned = True


class ChargeMeter:
    """Asks ``getLastRequestStatistics`` on the connection that one of ``commands`` went over.

    The command reports the last request of a connection, and a pool may give the next command
    another one. So an answer counts only when the pool gave this thread the same connection twice
    in a row, with no other thread in between, and the server names such a command.

    Asking costs a round trip, so a fast writer measures only a sample of its requests.
    """

    def __init__(self, watch: ConnectionWatch, commands: frozenset[str]) -> None:
        self._watch = watch
        self._commands = commands
        self._lock = threading.Lock()
        self._supported = True
        self._ask_at = 0.0
        self._cost = LearnedCost()

    def estimate(self, documents: int, size_bytes: int) -> float:
        """Return the RU of an insert that the server did not report, estimated from others."""
        return estimated_charge(documents, size_bytes) * self._cost.factor

    def of_last_request(self, ask: Ask, estimated: float) -> float | None:
        """Return the RU of this thread's last request; None if it is not reported.

        ``estimated``: the ``estimated_charge`` of the documents that it inserted.
        """
        if not self._supported or not self._is_due():
            return None
        before = self._watch.last_checkout()
        try:
            reply = ask({"getLastRequestStatistics": 1})
        except TerminalError:
            self._supported = False
            return None
        except DataWorksError:
            return None
        after = self._watch.last_checkout()
        if before is None or after is None:
            return None
        same = after.connection == before.connection and after.number == before.number + 1
        if not same or reply.get("CommandName") not in self._commands:
            return None
        charge = float(reply["RequestCharge"])
        with self._lock:
            self._cost.learn(estimated, charge)
        return charge

    def _is_due(self) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._ask_at:
                return False
            self._ask_at = now + _ASK_EVERY_SECONDS
            return True


class RequestCharges:
    """The cost of a client's inserts and of the pages that it read."""

    def __init__(self, watch: ConnectionWatch) -> None:
        self._inserts = ChargeMeter(watch, frozenset({"insert"}))
        self._pages = ChargeMeter(watch, frozenset({"find", "getMore"}))

    def of_insert(self, ask: Ask, batch: EncodedBatch, outcome: WriteOutcome) -> float | None:
        """Return the RU of this thread's last insert; None if it is not reported."""
        executed = len(batch) - len(outcome.throttled)
        estimated = estimated_charge(executed, batch.size_bytes * executed // len(batch))
        return self._inserts.of_last_request(ask, estimated)

    def of_page(self, ask: Ask) -> float | None:
        """Return the RU of the page that this thread has just read; None if it is not reported."""
        return self._pages.of_last_request(ask, 0.0)

    def estimate(self, documents: int, size_bytes: int) -> float:
        """Return the RU of an insert that the server did not report, estimated from others."""
        return self._inserts.estimate(documents, size_bytes)
