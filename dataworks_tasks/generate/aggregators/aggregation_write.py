"""Write computed fields within the run's budget."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bson import encode
from bson.raw_bson import RawBSONDocument

from dataworks_tasks.errors import StoreUnavailable, TerminalError, Throttled
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient, write_concern_document
from dataworks_tasks.store.retrying import retry_transient
from dataworks_tasks.store.write_budget import RateLimiter, Reservation
from dataworks_tasks.store.write_outcome import Rejection, WriteOutcome, read_reply

_ASK_AGAIN_SECONDS = 0.2


class Update(NamedTuple):
    """An update of one document."""

    query: Mapping[str, Any]
    change: Mapping[str, Any]


class RefusedUpdate(NamedTuple):
    """An update that the server refuses for good, and why."""

    update: Update
    reason: str


@dataclass(frozen=True, slots=True)
class Updates:
    """Updates, and the bytes of their documents: what a server with request units charges for."""

    updates: Sequence[Update]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class UpdateTarget:
    """Where updates go, and how."""

    client: BaseDatabaseClient
    namespace: Namespace
    write_concern: str
    rate_limiter: RateLimiter | None = None


def write_updates(target: UpdateTarget, wanted: Updates) -> list[RefusedUpdate]:
    """Write all of ``wanted``; what was throttled, or not answered, is sent again.

    Returns what the server refuses, which does not affect other documents. Raises the errors of
    ``driver_errors.classify`` for errors that are not transient.
    """
    refused: list[RefusedUpdate] = []
    each = wanted.size_bytes / len(wanted.updates)
    for group in _groups(target, wanted.updates, each):
        left = list(group)
        retry_transient(lambda left=left: _write(target, left, each, refused))  # type: ignore[misc]
    return refused


def _groups(
    target: UpdateTarget, updates: Sequence[Update], bytes_each: float
) -> Iterator[list[_Encoded]]:
    """Yield the updates in groups that fit into one command."""
    limits = target.client.capabilities
    most = limits.max_documents_per_write
    if target.rate_limiter is not None:
        most = min(most, target.rate_limiter.max_documents(bytes_each) or most)
    group: list[_Encoded] = []
    size = 0
    for update in updates:
        encoded = _Encoded(update, encode({"q": update.query, "u": update.change}))
        if group and (len(group) == most or size + len(encoded.data) > limits.max_bytes_per_write):
            yield group
            group, size = [], 0
        group.append(encoded)
        size += len(encoded.data)
    if group:
        yield group


class _Encoded(NamedTuple):
    update: Update
    data: bytes


def _write(
    target: UpdateTarget,
    left: list[_Encoded],
    bytes_each: float,
    refused: list[RefusedUpdate],
) -> None:
    """Write ``left`` within the run's budget; after an error it holds what is not written yet."""
    count, limiter = len(left), target.rate_limiter
    reservation = _reserve(limiter, count, round(bytes_each * count)) if limiter else None
    outcome = WriteOutcome(written=count)
    try:
        outcome = _send(target, left)
    except Throttled as error:
        outcome = WriteOutcome.all_throttled(count, error.fact)
        raise
    except TerminalError as error:
        if count > 1:
            raise
        outcome = WriteOutcome(0, rejected=(Rejection(0, 0, error.fact),))
    finally:
        if limiter and reservation:
            limiter.record(reservation, outcome)
    for rejection in outcome.rejected:
        reason = f"{rejection.reason} (code {rejection.code})"
        refused.append(RefusedUpdate(left[rejection.position].update, reason))
    left[:] = [left[position] for position in outcome.to_send_again]
    if outcome.throttled:
        raise Throttled("the request rate of the database is exceeded", "", outcome.delay_seconds)
    if left:
        raise StoreUnavailable(f"the database cannot do this now: {outcome.reason}")


def _reserve(limiter: RateLimiter, documents: int, size_bytes: int) -> Reservation:
    """Wait until the budget allows the write. A limiter gives up if the wait is long."""
    while (reservation := limiter.reserve(documents, size_bytes)) is None:
        time.sleep(_ASK_AGAIN_SECONDS)
    return reservation


def _send(target: UpdateTarget, left: Sequence[_Encoded]) -> WriteOutcome:
    command = {
        "update": target.namespace.collection,
        "ordered": False,
        "writeConcern": write_concern_document(target.write_concern),
        "updates": [RawBSONDocument(encoded.data) for encoded in left],
    }
    reply = target.client.command(target.namespace.database, command)
    return read_reply(reply, len(left), duplicates_are_refused=True)
