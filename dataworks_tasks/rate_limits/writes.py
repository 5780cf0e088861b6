"""Keep the fleet within the run's budget, and within what a throttling server accepts."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.tokens import BucketRequest, TokenGrant, TokenRequest
from dataworks_tasks.store.request_charge import LearnedCost, estimated_charge
from dataworks_tasks.store.write_budget import RateLimiter, Reservation
from dataworks_tasks.store.write_outcome import WriteOutcome

DOCUMENTS, REQUEST_UNITS = "documents", "request_units"
_WRITE_SECONDS = 0.1
"""A write takes at most this many seconds' budget: N workers stay within a few percent of it."""
_PATIENCE_SECONDS, _NO_PATIENCE_SECONDS = 1.0, 0.05
"""How long a process that holds a message waits for tokens, if its run is alone or among others."""
_SAVED_SECONDS = 0.15
"""Among others, a run returns when this much of its rate is saved up."""
_LONGEST_PLACE_SECONDS, _LONGEST_PLACE_UNDER_CONTROL_SECONDS = 2.0, 0.5
"""A place in the queue is taken at most this early: the rate may change while one waits, and the
controller sees what a rate does only in the writes that it granted at it."""
_ASK_AGAIN_SECONDS = 1.0
_METER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may spend per second, all workers together. None: no limit."""

    documents: float | None = None
    request_units: float | None = None


class WriteRateLimiter(RateLimiter):
    """Limits writes with token buckets in the ledger.

    Without a budget, Redis is not asked until the server throttles this process; from then on the
    fleet's controller holds all processes that were throttled to the rate that it finds. It counts
    request units if the server has them, else documents.
    """

    def __init__(
        self,
        ledger: Ledger,
        run_id: str,
        budget: Budget | Callable[[], Budget],
        *,
        in_request_units: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._budget_now = budget if callable(budget) else lambda: budget
        self._controlled_bucket = REQUEST_UNITS if in_request_units else DOCUMENTS
        self._sleep = sleep
        self._lock = threading.Lock()
        self._cost = LearnedCost()
        self._correction = 0.0
        self._controller_needed = False
        self._controller_rate: float | None = None
        self._epoch = 0
        self._sent = (
            0.0  # since the last report, as are the following figures of this epoch's writes
        )
        self._refused = self._accepted = 0.0
        self._writes = 0
        self._accepted_lately = _RateMeter()
        self._patience = math.inf
        self._saves = False
        self.short_seconds: float | None = None
        """Within this turn: how long until the tokens come for which this process leaves."""

    def begin_turn(self, *, among_others: bool) -> None:
        """Leave this process to others when tokens come later than it should wait for them.

        Among other runs, a run with its own rate does not wait: it writes what is saved up.
        """
        self._saves = among_others and self._budget != Budget()
        self._patience = _NO_PATIENCE_SECONDS if self._saves else _PATIENCE_SECONDS
        self.short_seconds = None

    @property
    def _budget(self) -> Budget:
        """Return what the run may spend now: a person may have changed it."""
        return self._budget_now()

    @property
    def is_short(self) -> bool:
        """Whether to leave: the missing tokens come later than this process waits."""
        return self.short_seconds is not None

    def max_documents(self, bytes_per_document: float) -> int | None:
        cost = estimated_charge(1, round(bytes_per_document)) * self._cost.factor
        limits = [
            rate * _WRITE_SECONDS / (cost if name == REQUEST_UNITS else 1.0)
            for name, rate in self._rates()
        ]
        return max(1, int(min(limits))) if limits else None

    def _rates(self) -> Iterator[tuple[str, float]]:
        if self._budget.documents is not None:
            yield DOCUMENTS, self._budget.documents
        if self._budget.request_units is not None:
            yield REQUEST_UNITS, self._budget.request_units
        if self._controller_rate is not None:
            yield self._controlled_bucket, self._controller_rate

    def reserve(
        self, documents: int, size_bytes: int, until: float | None = None
    ) -> Reservation | None:
        reserved = Reservation(
            documents, estimated_charge(documents, size_bytes) * self._cost.factor
        )
        if not self._controller_needed and self._budget == Budget():
            return reserved
        while True:
            left = math.inf if until is None else until - time.monotonic()
            if left <= 0:
                return None
            place = _LONGEST_PLACE_UNDER_CONTROL_SECONDS if self._epoch else _LONGEST_PLACE_SECONDS
            longest = min(left, place, self._patience)
            grant = self._ledger.take_tokens(self._run_id, self._request(reserved, longest))
            self._enter(grant)
            if grant.granted:
                self._sleep(grant.wait_seconds)
                return replace(reserved, epoch=grant.epoch)
            if grant.wait_seconds > self._patience:
                saved = _SAVED_SECONDS if self._saves else 0.0
                self.short_seconds = grant.wait_seconds + saved
                return None
            self._sleep(min(left, grant.wait_seconds, _ASK_AGAIN_SECONDS))

    def _enter(self, grant: TokenGrant) -> None:
        with self._lock:
            if 0 < grant.epoch < self._epoch:
                return  # another thread has a later answer
            self._controller_rate = grant.controller_rate
            if grant.epoch != self._epoch:
                self._epoch = grant.epoch  # 0 again after the run was resumed
                self._refused = self._accepted = 0.0
                self._writes = 0

    def _request(self, reserved: Reservation, longest_wait_seconds: float) -> TokenRequest:
        with self._lock:
            correction, self._correction = self._correction, 0.0
            refused, self._refused = self._refused, 0.0
            accepted, self._accepted = self._accepted, 0.0
            writes, self._writes = self._writes, 0
            sent, self._sent = self._sent, 0.0
            epoch = self._epoch
            joins = self._controller_needed and not epoch
            accepted_rate = self._accepted_lately.per_second() if joins else 0.0
        in_units = self._controlled_bucket == REQUEST_UNITS
        buckets: list[BucketRequest] = []
        if self._budget.documents is not None or not in_units:
            limit = self._budget.documents
            buckets.append(BucketRequest(DOCUMENTS, reserved.documents, 0.0, limit, not in_units))
        if self._budget.request_units is not None or in_units:
            limit, wanted = self._budget.request_units, reserved.request_units
            buckets.append(BucketRequest(REQUEST_UNITS, wanted, correction, limit, in_units))
        return TokenRequest(
            buckets=buckets,
            longest_wait_seconds=longest_wait_seconds,
            epoch=epoch,
            refused=refused,
            accepted=accepted,
            writes=writes,
            sent=sent,
            joins=joins,
            accepted_rate=accepted_rate,
        )

    def record(self, reservation: Reservation, outcome: WriteOutcome) -> None:
        """Record what the write cost.

        Tokens of throttled writes stay spent, to slow retries down.
        """
        executed = reservation.documents - len(outcome.throttled)
        expected = reservation.request_units * executed / reservation.documents
        measured = outcome.request_units
        with self._lock:
            if measured is not None and expected > 0:
                self._cost.learn(expected / self._cost.factor, measured)
                self._correction += measured - expected
            in_units = self._controlled_bucket == REQUEST_UNITS
            accepted = (measured or expected) if in_units else executed
            self._accepted_lately.add(accepted)
            self._controller_needed = self._controller_needed or bool(outcome.throttled)
            amount = reservation.request_units if in_units else reservation.documents
            refused = amount * len(outcome.throttled) / reservation.documents
            self._sent += accepted + refused
            if reservation.epoch == self._epoch:  # otherwise it says nothing about the current rate
                self._writes += 1
                self._accepted += accepted
                self._refused += refused


class _RateMeter:
    """An amount per second over the last seconds; used under the rate limiter's lock."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._amount = 0.0
        self._before = 0.0

    def add(self, amount: float) -> None:
        """Count ``amount`` now."""
        self._turn()
        self._amount += amount

    def per_second(self) -> float:
        """Return the rate over the last one to two windows."""
        self._turn()
        elapsed = time.monotonic() - self._since
        if self._before:
            return (self._before + self._amount) / (_METER_SECONDS + elapsed)
        # At least half a second: servers let a burst through that is not a lasting rate.
        return self._amount / max(elapsed, 0.5)

    def _turn(self) -> None:
        now = time.monotonic()
        if now - self._since >= _METER_SECONDS:
            fresh = now - self._since < 2 * _METER_SECONDS
            self._before = self._amount if fresh else 0.0
            self._amount = 0.0
            self._since = now


def documents_per_write(limit: int, documents_per_second: float | None) -> int:
    """Return how many documents a write may have to stay within a tenth of a second's budget."""
    if documents_per_second is None:
        return limit
    return max(1, min(limit, int(documents_per_second * _WRITE_SECONDS)))
