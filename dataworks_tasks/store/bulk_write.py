"""Write a batch until every document of it is settled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dataworks_tasks.encoded_batch import EncodedBatch
from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.namespace import Namespace
from dataworks_tasks.retry_policy import Backoff
from dataworks_tasks.run_spec import OnConflict
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.conflicts import settle_duplicates
from dataworks_tasks.store.write_outcome import WriteOutcome

Pace = Callable[[int, int], None]
"""Called with documents and bytes before each send; waits until the run's budget allows them."""


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
    """What became of a batch. ``unsettled`` positions were given up at the deadline."""

    written: int = 0
    already_there: int = 0
    replaced: int = 0
    skipped: int = 0
    failures: list[WriteFailure] = field(default_factory=list)
    unsettled: list[int] = field(default_factory=list)
    throttled_requests: int = 0
    retried_requests: int = 0
    seconds_waited: float = 0.0


def write_batch(
    client: BaseDatabaseClient,
    namespace: Namespace,
    batch: EncodedBatch,
    policy: WritePolicy,
    pace: Pace | None = None,
    deadline: float | None = None,
) -> WriteResult:
    """Send ``batch`` and send again what was not written, until all of it is settled.

    Throttling is waited out however long it takes, unless ``deadline`` (of ``time.monotonic``)
    passes: what is left then is ``unsettled``. Raises StoreUnavailable when the database did not
    answer through all of the policy's tries, and terminal errors at once.
    """
    result = WriteResult()
    capabilities = client.capabilities
    position = 0
    for piece in batch.split(
        capabilities.max_documents_per_write, capabilities.max_bytes_per_write
    ):
        positions = range(position, position + len(piece))
        position += len(piece)
        if deadline is not None and time.monotonic() > deadline:
            result.unsettled.extend(positions)
            continue
        _write_piece(_Write(client, namespace, policy, pace, deadline, result), piece, positions)
    return result


@dataclass(frozen=True, slots=True)
class _Write:
    client: BaseDatabaseClient
    namespace: Namespace
    policy: WritePolicy
    pace: Pace | None
    deadline: float | None
    result: WriteResult


def _write_piece(write: _Write, piece: EncodedBatch, positions: Sequence[int]) -> None:
    """Positions are those of ``piece``'s documents in the caller's batch."""
    tries = stalls = 0
    while True:
        if write.pace is not None:
            write.pace(len(piece), piece.size_bytes)
        failpoint("write.before")
        outcome = write.client.insert(write.namespace, piece, write.policy.write_concern)
        failpoint("write.after")
        _settle(write, piece, positions, outcome)
        again = outcome.to_send_again
        if not again:
            return
        moved = len(again) < len(piece)
        piece, positions = piece.select(again), [positions[index] for index in again]
        if outcome.throttled:
            write.result.throttled_requests += 1
            stalls = 0 if moved else stalls + 1
            pause = outcome.delay_seconds or write.policy.backoff.pause(stalls)
        else:
            write.result.retried_requests += 1
            tries = 0 if moved else tries + 1
            if tries > write.policy.backoff.tries:
                raise StoreUnavailable(
                    f"{write.namespace} took no document in {tries} tries: {outcome.reason}"
                )
            pause = write.policy.backoff.pause(tries)
        if write.deadline is not None and time.monotonic() + pause > write.deadline:
            write.result.unsettled.extend(positions)
            return
        write.result.seconds_waited += pause
        time.sleep(pause)


def _settle(
    write: _Write, piece: EncodedBatch, positions: Sequence[int], outcome: WriteOutcome
) -> None:
    result = write.result
    result.written += outcome.written
    for rejection in outcome.rejected:
        document = piece.document(rejection.position)
        reason = f"{rejection.reason} (code {rejection.code})"
        result.failures.append(WriteFailure(positions[rejection.position], document, reason))
    if not outcome.duplicates:
        return
    met = [piece.document(position) for position in outcome.duplicates]
    settled = settle_duplicates(write.client, write.namespace, met, write.policy.on_conflict)
    result.already_there += settled.already_there
    result.replaced += settled.replaced
    result.skipped += settled.skipped
    for index, reason in settled.refused.items():
        position = positions[outcome.duplicates[index]]
        result.failures.append(WriteFailure(position, met[index], reason))
