"""One holder at a time for a slice or key window: a claim with a number, an expiry, a heartbeat."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from dataworks_tasks.errors import DataWorksError, TransientError, UnknownName
from dataworks_tasks.ledger.key_windows import ClaimGrant, ClaimRequest, KeyWindows

log = logging.getLogger(__name__)

_HEARTBEATS = 4
"""Heartbeats within the time of a claim."""
_MARGIN = 0.1
"""The last share of a claim's time, in which no new write begins: a write may take that long."""


class ClaimLost(TransientError):
    """Another process has the window, or will have it: nothing more may be written."""


class ClaimHeld(TransientError):
    """Another process has the window now; it is tried again later."""


@dataclass(frozen=True, slots=True)
class ClaimTerms:
    """How long a claim lasts, and how long after its end a write may still arrive."""

    seconds: float
    late_seconds: float


def boot_time() -> float:
    """Seconds that also pass while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(slots=True)
class Claim:
    """A slice or window that this process holds. ``unanswered``: a write of it may still arrive."""

    request: ClaimRequest
    grant: ClaimGrant
    ends_at: float  # of boot_time
    unanswered: bool = False
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds_left(self) -> float:
        """Return how long a write that begins now may take; 0 when the claim is over."""
        if self._over.is_set():
            return 0.0
        return max(0.0, self.ends_at - self.request.seconds * _MARGIN - boot_time())

    def check(self) -> None:
        """Raise ClaimLost when no write may begin any more."""
        if self.seconds_left <= 0.0:
            self._over.set()
            raise ClaimLost(f"the claim of slice {self.request.number} is over")

    def lose(self) -> None:
        """Begin no more writes."""
        self._over.set()


class ClaimKeeper:
    """Claims slices for this process and keeps them while it works; a context manager.

    The time of a claim counts from before its request, so this process stops writing before Redis
    gives the slice to another.
    """

    def __init__(self, ledger: KeyWindows, run_id: str, terms: ClaimTerms) -> None:
        self._ledger, self._run_id, self.terms = ledger, run_id, terms
        self._holder = secrets.token_hex(8)
        self._held: dict[int, Claim] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="keep-claims", daemon=True)

    def __enter__(self) -> Self:
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._heart.join()
        for claim in list(self._held.values()):
            self.give_back(claim)

    def claim(self, number: int, data: bytes) -> Claim | None:
        """Claim a slice; None while another process has it, or when it is done."""
        terms = self.terms
        asked_at = boot_time()
        request = ClaimRequest(number, data, self._holder, terms.seconds, terms.late_seconds)
        grant = self._ledger.claim(self._run_id, request)
        if grant is None:
            return None
        claim = Claim(request, grant, asked_at + terms.seconds)
        with self._lock:
            self._held[number] = claim
        return claim

    def done(self, claim: Claim) -> None:
        """Release the claim of a slice that is acknowledged."""
        with self._lock:
            self._held.pop(claim.request.number, None)

    def give_back(self, claim: Claim) -> None:
        """Let another process have the slice at once; an outage leaves it to the expiry."""
        self.done(claim)
        claim.lose()
        try:
            self._ledger.give_back(
                self._run_id, claim.request, claim.grant.claim, unanswered=claim.unanswered
            )
        except (TransientError, UnknownName) as error:
            log.info("a claim of %s could not be released and will expire: %s", self._run_id, error)

    def give_back_unless_done(self, claim: Claim) -> None:
        """``give_back`` a claim whose slice is not acknowledged."""
        if claim.request.number in self._held:
            self.give_back(claim)

    def _beat(self) -> None:
        while not self._over.wait(self.terms.seconds / _HEARTBEATS):
            with self._lock:
                held = list(self._held.values())
            for claim in held:
                self._extend(claim)

    def _extend(self, claim: Claim) -> None:
        asked_at = boot_time()
        try:
            if claim.seconds_left <= 0.0:
                claim.lose()
            elif self._ledger.extend(self._run_id, claim.request, claim.grant.claim):
                claim.ends_at = asked_at + self.terms.seconds
            else:
                claim.lose()
        except DataWorksError as error:
            log.debug("a claim of %s could not be extended: %s", self._run_id, error)
