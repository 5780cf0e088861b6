"""Write computed fields within the run's budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, OperationFailure

from dataworks_tasks.errors import Throttled
from dataworks_tasks.store.driver_errors import classified
from dataworks_tasks.store.retrying import retry_transient
from dataworks_tasks.store.write_budget import RateLimiter
from dataworks_tasks.store.write_outcome import WriteOutcome


@dataclass(frozen=True, slots=True)
class Updates:
    """Updates, and the bytes of their documents: what a server that counts units charges for."""

    updates: Sequence[UpdateOne]
    size_bytes: int


def write_updates(
    collection: Collection[dict[str, Any]], wanted: Updates, rate_limiter: RateLimiter | None
) -> None:
    """Write all of ``wanted``; what was throttled, or not answered, is sent again.

    Raises the errors of ``retry_policy.classify`` for what does not pass by itself.
    """
    each = wanted.size_bytes / len(wanted.updates)
    at_once = rate_limiter.max_documents(each) if rate_limiter else None
    size = at_once or len(wanted.updates)
    for start in range(0, len(wanted.updates), size):
        left = list(wanted.updates[start : start + size])
        retry_transient(lambda left=left: _rate_limited(collection, left, each, rate_limiter))  # type: ignore[misc]


def _rate_limited(
    collection: Collection[dict[str, Any]],
    left: list[UpdateOne],
    bytes_each: float,
    rate_limiter: RateLimiter | None,
) -> None:
    """Write updates within the run's budget; after an error ``left`` is what is not written."""
    count = len(left)
    reservation = rate_limiter.reserve(count, round(bytes_each * count)) if rate_limiter else None
    outcome = WriteOutcome(written=count)
    try:
        with classified():
            try:
                collection.bulk_write(left, ordered=False)
            except BulkWriteError as error:
                if refused := error.details["writeErrors"]:
                    left[:] = [left[item["index"]] for item in refused]
                raise _first_refusal(error) from None
    except Throttled as error:
        # What was refused is the tail of the batch: positions say how many, not which.
        throttled = tuple(range(count - len(left), count))
        outcome = WriteOutcome(count - len(throttled), throttled=throttled, reason=str(error))
        raise
    finally:
        if rate_limiter and reservation:
            rate_limiter.record(reservation, outcome)


def _first_refusal(error: BulkWriteError) -> OperationFailure:
    """What to classify: the code of the whole says only that there is a refusal in it."""
    refused = (error.details["writeErrors"] or error.details["writeConcernErrors"])[0]
    return OperationFailure(str(refused.get("errmsg", error)), refused.get("code"))
