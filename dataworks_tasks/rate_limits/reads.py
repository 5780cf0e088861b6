"""Keep the fleet's reads from a Cosmos DB account within the run's budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.tokens import BucketRequest, TokenRequest

SOURCE_REQUEST_UNITS = "source_request_units"
READ_1KB_RU = 1.0
"""A point read of 1 KB (docs/cosmos-facts.md section 3).

A page of results is estimated at this much per KB until the server reports a cost.
"""
_KIBIBYTE = 1024
_READ_SECONDS = 0.1
"""A page takes at most about this many seconds' budget: N workers stay within a few percent."""
_LONGEST_PLACE_SECONDS = 2.0
_FIRST_PAGE = 10
"""Documents of a process' first page, before it knows what one costs."""
_LEARNING = 0.2


def rate_limited(
    pages: Iterator[bytes],
    size: int,
    rate_limiter: ReadRateLimiter,
    charge: Callable[[], float | None],
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[bytes, ReadCharge]]:
    """Yield ``pages`` of ``size`` documents with their cost, read when the budget allows it.

    ``charge`` returns the RU of the page that was read last, or None if unknown.
    """
    while True:
        reserved = rate_limiter.reserve(size, pause)
        page = next(pages, b"")
        cost = rate_limiter.record(reserved, page, charge() if page else 0.0)
        if not page:
            return
        yield page, cost


@dataclass(frozen=True, slots=True)
class ReadCharge:
    """Request units of reading: reported by the server, or estimated if it reported none."""

    measured: float = 0.0
    estimated: float = 0.0


class ReadCharges:
    """Adds up charges on one thread and returns them on another."""

    def __init__(self) -> None:
        self._charge = ReadCharge()
        self._lock = threading.Lock()

    def add(self, charge: ReadCharge) -> None:
        """Add the charge of a page."""
        with self._lock:
            before = self._charge
            self._charge = ReadCharge(
                before.measured + charge.measured, before.estimated + charge.estimated
            )

    def take(self) -> ReadCharge:
        """Return what was added since the last call."""
        with self._lock:
            charge, self._charge = self._charge, ReadCharge()
        return charge


class ReadRateLimiter:
    """One process' share of a budget for reading; used by several threads at once.

    A page is reserved by the recent cost of a document and corrected by its real cost, so the reads
    of all processes start one after the other at the rate. Without a budget it only counts.
    """

    def __init__(
        self,
        ledger: Ledger,
        run_id: str,
        bucket: str,
        request_units: float | Callable[[], float | None] | None,
    ) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._bucket = bucket
        self._limit_now = request_units if callable(request_units) else lambda: request_units
        self._lock = threading.Lock()
        self._ru_per_document: float | None = None
        self._measured_share = 1.0
        self._correction = 0.0

    @property
    def _limit(self) -> float | None:
        """Return what the run may spend now: a person may have changed it."""
        return self._limit_now()

    def max_documents(self, most: int) -> int:
        """Return how many of ``most`` documents a page should have."""
        limit = self._limit
        if limit is None:
            return most
        if self._ru_per_document is None:
            return min(most, _FIRST_PAGE)
        return max(1, min(most, int(limit * _READ_SECONDS / self._ru_per_document)))

    def reserve(self, documents: int, pause: Callable[[float], None]) -> float:
        """Wait with ``pause`` until the budget allows a page; return the RU reserved for it.

        Raises LedgerUnavailable when Redis does not answer, and what ``pause`` raises.
        """
        wanted = documents * (self._ru_per_document or READ_1KB_RU)
        while (limit := self._limit) is not None:
            grant = self._ledger.take_tokens(self._run_id, self._request(wanted, limit))
            pause(grant.wait_seconds if grant.granted else _LONGEST_PLACE_SECONDS / 2)
            if grant.granted:
                break
        return wanted

    def _request(self, wanted: float, limit: float) -> TokenRequest:
        with self._lock:
            correction, self._correction = self._correction, 0.0
        bucket = BucketRequest(self._bucket, wanted, correction, limit)
        return TokenRequest([bucket], _LONGEST_PLACE_SECONDS)

    def record(self, reserved: float, page: bytes, measured: float | None) -> ReadCharge:
        """Record what a page cost: ``measured`` are its RU if the server reported them."""
        documents = len(EncodedBatch.parse(page))
        expected = max(READ_1KB_RU, READ_1KB_RU * len(page) / _KIBIBYTE)
        with self._lock:
            spent = expected * self._measured_share if measured is None else measured
            # The end of the results costs nothing, and says nothing about the cost of a document.
            if measured and documents:
                self._measured_share += _LEARNING * (measured / expected - self._measured_share)
            if spent and documents:
                cost, before = spent / documents, self._ru_per_document
                learned = cost if before is None else before + _LEARNING * (cost - before)
                self._ru_per_document = learned
            self._correction += spent - reserved
        return ReadCharge(estimated=spent) if measured is None else ReadCharge(measured=spent)
