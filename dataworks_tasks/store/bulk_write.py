"""Write a batch until every document of it is completed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.conflicts import resolve_duplicates
from dataworks_tasks.store.document_rules import refused_documents
from dataworks_tasks.store.write_budget import RateLimiter
from dataworks_tasks.store.write_outcome import Rejection, WriteOutcome

_LONGEST_THROTTLED_PAUSE_SECONDS = 1.0
"""Request units are an allowance for one second: a longer pause only delays a write."""


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """How a run writes."""

    write_concern: str = "majority"
    on_conflict: OnConflict = OnConflict.FAIL
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class WriteFailure:
    """A document that will never be written: its bytes, its position and why."""

    position: int
    document: bytes
    reason: str


@dataclass(slots=True)
class WriteResult:
    """The outcome of a batch. ``pending`` positions were given up at the deadline."""

    written: int = 0
    already_there: int = 0
    replaced: int = 0
    skipped: int = 0
    failures: list[WriteFailure] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    throttled_requests: int = 0
    retried_requests: int = 0
    seconds_waited: float = 0.0
    request_units: float = 0.0
    """As reported by the server."""
    request_units_estimated: float = 0.0
    """Estimated for the requests that the server did not report."""

    def completed_runs(self, count: int) -> Iterator[tuple[int, int]]:
        """Yield runs ``[start, stop)`` of completed positions among ``count``, in order."""
        start = 0
        for position in (*self.pending, count):
            if position > start:
                yield start, position
            start = position + 1


def write_batch(
    client: BaseDatabaseClient,
    namespace: Namespace,
    batch: EncodedBatch,
    policy: WritePolicy,
    rate_limiter: RateLimiter | None = None,
    deadline: float | None = None,
) -> WriteResult:
    """Send ``batch`` and send again what was not written, until all of it is completed.

    Documents that the server would refuse are not sent. Throttled writes are retried however long
    it takes, unless ``deadline`` (of ``time.monotonic``) passes: then the rest is ``pending``.
    Raises StoreUnavailable when the database did not answer through all of the policy's tries, and
    terminal errors at once.
    """
    write = _Write(client, namespace, policy, rate_limiter, deadline, WriteResult())
    write.send(_checked(write, batch))
    write.result.pending.sort()
    return write.result


@dataclass(frozen=True, slots=True)
class _SubBatch:
    """Documents that go together, and their positions in the caller's batch."""

    batch: EncodedBatch
    positions: Sequence[int]

    def __len__(self) -> int:
        return len(self.batch)

    def slice(self, start: int, stop: int) -> _SubBatch:
        return _SubBatch(self.batch.slice(start, stop), self.positions[start:stop])

    def select(self, wanted: Sequence[int]) -> _SubBatch:
        if len(wanted) == len(self):
            return self
        return _SubBatch(self.batch.select(wanted), [self.positions[index] for index in wanted])


def _checked(write: _Write, batch: EncodedBatch) -> _SubBatch:
    """Return the documents that may be sent; record the others as failures."""
    sub_batch = _SubBatch(batch, range(len(batch)))
    shard_key = write.client.shard_key(write.namespace)
    refused = refused_documents(batch, write.client.capabilities, shard_key)
    if not refused:
        return sub_batch
    write.result.failures += (
        WriteFailure(position, batch.document(position), refused[position])
        for position in sorted(refused)
    )
    return sub_batch.select([index for index in range(len(batch)) if index not in refused])


@dataclass(slots=True)
class _Retries:
    """Counts tries in a row in which the server accepted no document, and sets the pauses."""

    namespace: Namespace
    backoff: Backoff
    failed: int = 0
    throttled: int = 0

    def reset(self) -> None:
        """Forget the tries: a sub-batch was accepted."""
        self.failed = self.throttled = 0

    def pause(self, outcome: WriteOutcome, refused_share: float) -> float:
        """Return the seconds to wait before ``refused_share`` of the documents is sent again.

        Raises StoreUnavailable when the server failed too often in a row.
        """
        is_stuck = refused_share == 1.0
        if outcome.throttled:
            self.throttled = self.throttled + 1 if is_stuck else 0
            return outcome.delay_seconds or self._throttled_pause(refused_share)
        if outcome.oversize:
            return 0.0
        self.failed = self.failed + 1 if is_stuck else 0
        if self.failed > self.backoff.tries:
            raise StoreUnavailable(
                f"{self.namespace} did not accept a document in {self.failed} tries: "
                f"{outcome.reason}"
            )
        return self.backoff.pause(self.failed)

    def _throttled_pause(self, refused_share: float) -> float:
        """Return the pause if the server names none: short for a small refused share."""
        pause = self.backoff.pause(self.throttled)
        return min(pause, _LONGEST_THROTTLED_PAUSE_SECONDS) * refused_share


@dataclass(frozen=True, slots=True)
class _Write:
    """Writes one batch. ``result`` collects the outcome."""

    client: BaseDatabaseClient
    namespace: Namespace
    policy: WritePolicy
    rate_limiter: RateLimiter | None
    deadline: float | None
    result: WriteResult

    def send(self, everything: _SubBatch) -> None:
        """Send sub-batch by sub-batch; what has to be sent again goes first."""
        waiting = deque([everything] if len(everything) else [])
        retries = _Retries(self.namespace, self.policy.backoff)
        while waiting:
            sub_batch = self._next_sub_batch(waiting)
            outcome = self._insert(sub_batch)
            if outcome is None:
                waiting.appendleft(sub_batch)
                break
            again = self._record(sub_batch, outcome)
            if not again:
                retries.reset()
                continue
            self._count_retry(outcome)
            waiting.extendleft(reversed(_halves(sub_batch, outcome, again)))
            if not self._wait(retries.pause(outcome, len(again) / len(sub_batch))):
                break
        for sub_batch in waiting:
            self.result.pending.extend(sub_batch.positions)

    def _next_sub_batch(self, waiting: deque[_SubBatch]) -> _SubBatch:
        sub_batch = waiting.popleft()
        most = self._most_documents(sub_batch.batch)
        limit = self.client.write_size.at_most(most)
        fitting = next(sub_batch.batch.split(limit, self.client.capabilities.max_bytes_per_write))
        if len(fitting) == len(sub_batch):
            return sub_batch
        waiting.appendleft(sub_batch.slice(len(fitting), len(sub_batch)))
        return _SubBatch(fitting, sub_batch.positions[: len(fitting)])

    def _most_documents(self, batch: EncodedBatch) -> int:
        most = self.client.capabilities.max_documents_per_write
        if self.rate_limiter is not None:
            allowed = self.rate_limiter.max_documents(batch.size_bytes / len(batch))
            most = most if allowed is None else max(1, min(most, allowed))
        return most

    def _insert(self, sub_batch: _SubBatch) -> WriteOutcome | None:
        """Return None when the deadline or the budget leaves no time for it."""
        if self.deadline is not None and time.monotonic() > self.deadline:
            return None
        reservation = None
        if self.rate_limiter is not None:
            reservation = self.rate_limiter.reserve(
                len(sub_batch), sub_batch.batch.size_bytes, self.deadline
            )
            if reservation is None:
                return None
        failpoint("write.before")
        outcome = self.client.insert(self.namespace, sub_batch.batch, self.policy.write_concern)
        failpoint("write.after")
        if self.rate_limiter is not None and reservation is not None:
            self.rate_limiter.record(reservation, outcome)
        self._adapt(sub_batch, outcome)
        return outcome

    def _adapt(self, sub_batch: _SubBatch, outcome: WriteOutcome) -> None:
        if outcome.throttled or not outcome.to_send_again:
            most = self.client.capabilities.max_documents_per_write
            self.client.write_size.record(len(sub_batch), len(outcome.throttled), most)

    def _record(self, sub_batch: _SubBatch, outcome: WriteOutcome) -> tuple[int, ...]:
        """Count what is completed; return the indexes in ``sub_batch`` to send again."""
        result = self.result
        result.written += outcome.written
        self._count_charge(sub_batch, outcome)
        again = outcome.to_send_again
        rejected = outcome.rejected
        if outcome.oversize and len(sub_batch) == 1:
            again = ()
            rejected = (Rejection(0, outcome.oversize_code, outcome.reason),)
        for rejection in rejected:
            document = sub_batch.batch.document(rejection.position)
            reason = f"{rejection.reason} (code {rejection.code})"
            position = sub_batch.positions[rejection.position]
            result.failures.append(WriteFailure(position, document, reason))
        if outcome.duplicates:
            self._resolve_duplicates(sub_batch, outcome.duplicates)
        return again

    def _resolve_duplicates(self, sub_batch: _SubBatch, duplicates: Sequence[int]) -> None:
        met = [sub_batch.batch.document(index) for index in duplicates]
        policy = self.policy
        resolved = resolve_duplicates(
            self.client, self.namespace, met, policy.on_conflict, policy.write_concern
        )
        self.result.already_there += resolved.already_there
        self.result.replaced += resolved.replaced
        self.result.skipped += resolved.skipped
        for index, reason in resolved.refused.items():
            position = sub_batch.positions[duplicates[index]]
            self.result.failures.append(WriteFailure(position, met[index], reason))

    def _count_charge(self, sub_batch: _SubBatch, outcome: WriteOutcome) -> None:
        if not self.client.capabilities.request_charge:
            return
        if outcome.request_units is not None:
            self.result.request_units += outcome.request_units
            return
        executed = len(sub_batch) - len(outcome.throttled)
        size = sub_batch.batch.size_bytes * executed // len(sub_batch)
        self.result.request_units_estimated += self.client.estimated_charge(executed, size)

    def _count_retry(self, outcome: WriteOutcome) -> None:
        if outcome.throttled:
            self.result.throttled_requests += 1
        elif not outcome.oversize:
            self.result.retried_requests += 1

    def _wait(self, pause: float) -> bool:
        """Pause for ``pause`` seconds; returns False if the deadline comes first."""
        if self.deadline is not None and time.monotonic() + pause > self.deadline:
            return False
        self.result.seconds_waited += pause
        time.sleep(pause)
        return True


def _halves(sub_batch: _SubBatch, outcome: WriteOutcome, again: Sequence[int]) -> list[_SubBatch]:
    """Return what to send again; a write that was too large is split in two."""
    rest = sub_batch.select(again)
    if not outcome.oversize or len(rest) < 2 or len(rest) < len(sub_batch):
        return [rest]
    middle = len(rest) // 2
    return [rest.slice(0, middle), rest.slice(middle, len(rest))]
