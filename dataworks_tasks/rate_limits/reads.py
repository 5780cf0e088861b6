"""Keep what the whole fleet reads from a Cosmos DB account under the run's budget for it."""

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
"""A point read of 1 KB (reference/cosmos.md section 3). A page of results is estimated at as much
for each KB, until the server tells what one cost."""
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
) -> Iterator[bytes]:
    """``pages`` of ``size`` documents, each asked for when the budget allows it.

    ``charge`` tells the RU of the page that was read last, or None.
    """
    while True:
        reserved = rate_limiter.reserve(size, pause)
        page = next(pages, b"")
        rate_limiter.record(reserved, page, charge() if page else 0.0)
        if not page:
            return
        yield page


@dataclass(slots=True)
class ReadCharge:
    """Request units that reading cost: as the server told them, and where it told nothing."""

    measured: float = 0.0
    estimated: float = 0.0


class ReadRateLimiter:
    """One process' share of a budget for reading; used by several threads at once.

    A page is reserved by what a document cost lately and corrected by what it did cost, so reads
    of all processes start one after the other at the rate. Without a budget it only counts.
    """

    def __init__(
        self, ledger: Ledger, run_id: str, bucket: str, request_units: float | None
    ) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._bucket = bucket
        self._limit = request_units
        self._lock = threading.Lock()
        self._ru_per_document: float | None = None
        self._measured_share = 1.0
        self._correction = 0.0
        self._charge = ReadCharge()

    def max_documents(self, most: int) -> int:
        """How many of ``most`` documents a page should have."""
        if self._limit is None:
            return most
        if self._ru_per_document is None:
            return min(most, _FIRST_PAGE)
        return max(1, min(most, int(self._limit * _READ_SECONDS / self._ru_per_document)))

    def reserve(self, documents: int, pause: Callable[[float], None]) -> float:
        """Wait with ``pause`` until the budget allows a page; the RU reserved for it.

        Raises LedgerUnavailable when Redis does not answer, and what ``pause`` raises.
        """
        wanted = documents * (self._ru_per_document or READ_1KB_RU)
        while self._limit is not None:
            grant = self._ledger.take_tokens(self._run_id, self._request(wanted, self._limit))
            pause(grant.wait_seconds if grant.granted else _LONGEST_PLACE_SECONDS / 2)
            if grant.granted:
                break
        return wanted

    def _request(self, wanted: float, limit: float) -> TokenRequest:
        with self._lock:
            correction, self._correction = self._correction, 0.0
        bucket = BucketRequest(self._bucket, wanted, correction, limit)
        return TokenRequest([bucket], _LONGEST_PLACE_SECONDS)

    def record(self, reserved: float, page: bytes, measured: float | None) -> None:
        """Record what a page cost: ``measured`` are its RU where the server reported them."""
        documents = len(EncodedBatch.parse(page))
        expected = max(READ_1KB_RU, READ_1KB_RU * len(page) / _KIBIBYTE)
        with self._lock:
            if measured is None:
                spent = expected * self._measured_share
                self._charge.estimated += spent
            else:
                spent = measured
                self._charge.measured += spent
                self._measured_share += _LEARNING * (measured / expected - self._measured_share)
            if documents:
                cost, before = spent / documents, self._ru_per_document
                learned = cost if before is None else before + _LEARNING * (cost - before)
                self._ru_per_document = learned
            self._correction += spent - reserved

    def take_charge(self) -> ReadCharge:
        """What was read since this was last asked, by whichever slice."""
        with self._lock:
            charge, self._charge = self._charge, ReadCharge()
        return charge
