"""The outcome of one insert command, document by document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.store.driver_errors import passes, retry_after_seconds

DUPLICATE_KEY = 11000
THROTTLED = 16500
TOO_LARGE_FOR_COSMOS = 16
"""Cosmos DB's 413: the request was too large, or one document of it."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that the server refuses for good, by its position in the batch."""

    position: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """Positions refer to the batch that was sent.

    ``written`` documents are acknowledged at the write concern. ``duplicates`` met a document with
    the same unique key: the caller compares whether that is ours. ``throttled`` and ``retryable``
    ones were not, or not certainly, written and can be sent again; ``oversize`` ones too, in a
    smaller write: together they are too large, or one of them made the server refuse the complete
    command. ``request_units``: the cost that the server reported, if any.
    """

    written: int
    duplicates: tuple[int, ...] = ()
    throttled: tuple[int, ...] = ()
    retryable: tuple[int, ...] = ()
    oversize: tuple[int, ...] = ()
    oversize_code: int = TOO_LARGE_FOR_COSMOS
    rejected: tuple[Rejection, ...] = ()
    request_units: float | None = None
    delay_seconds: float | None = None
    reason: str = ""

    @property
    def to_send_again(self) -> tuple[int, ...]:
        """Positions that are not completed yet, in order."""
        return tuple(sorted(self.throttled + self.retryable + self.oversize))

    @classmethod
    def nothing_known(cls, count: int, reason: str) -> WriteOutcome:
        """No answer came: any of the ``count`` documents may have been written or not."""
        return cls(written=0, retryable=tuple(range(count)), reason=reason)

    @classmethod
    def all_throttled(cls, count: int, message: str) -> WriteOutcome:
        """Build the outcome of a command that was throttled as a unit."""
        return cls(
            written=0,
            throttled=tuple(range(count)),
            delay_seconds=retry_after_seconds(message),
            reason=message,
        )

    @classmethod
    def all_oversize(
        cls, count: int, message: str, code: int = TOO_LARGE_FOR_COSMOS
    ) -> WriteOutcome:
        """Build the outcome of a command refused for its size, or for one document's."""
        return cls(written=0, oversize=tuple(range(count)), oversize_code=code, reason=message)


def read_reply(
    reply: Mapping[str, Any], count: int, *, duplicates_are_refused: bool = False
) -> WriteOutcome:
    """Classify a write command's reply for ``count`` documents.

    ``duplicates_are_refused``: for an update, a duplicate key is never our own earlier attempt.
    """
    errors: Sequence[Mapping[str, Any]] = reply.get("writeErrors", ())
    concern_error = reply.get("writeConcernError")
    if concern_error and not errors:
        return WriteOutcome.nothing_known(count, str(concern_error.get("errmsg", "")))
    duplicates: list[int] = []
    throttled: list[int] = []
    retryable: list[int] = []
    oversize: list[int] = []
    rejected: list[Rejection] = []
    delays: list[float] = []
    for error in errors:
        position, code = int(error["index"]), int(error.get("code", 0))
        message = str(error.get("errmsg", ""))
        if code == DUPLICATE_KEY and not duplicates_are_refused:
            (retryable if concern_error else duplicates).append(position)
        elif code == THROTTLED:
            throttled.append(position)
            delay = retry_after_seconds(message)
            delays += [] if delay is None else [delay]
        elif code == TOO_LARGE_FOR_COSMOS:
            oversize.append(position)
        elif passes(code, message):
            retryable.append(position)
        else:
            rejected.append(Rejection(position, code, message))
    if concern_error:
        # The documents exist without the requested write concern, from this write or an earlier
        # one: sending them again meets them as duplicates and waits for the write concern once
        # more.
        named = {int(error["index"]) for error in errors}
        retryable += [position for position in range(count) if position not in named]
    sent_again = len(throttled) + len(retryable) + len(oversize)
    return WriteOutcome(
        written=count - len(duplicates) - sent_again - len(rejected),
        duplicates=tuple(duplicates),
        throttled=tuple(throttled),
        retryable=tuple(retryable),
        oversize=tuple(oversize),
        rejected=tuple(rejected),
        delay_seconds=max(delays, default=None),
        reason=str(errors[0].get("errmsg", "")) if errors else "",
    )
