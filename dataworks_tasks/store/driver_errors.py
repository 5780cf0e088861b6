"""Translate driver errors: what to retry, to delay, or to stop for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
)

from dataworks_tasks.errors import (
    DataWorksError,
    RightMissing,
    SettingsError,
    StoreUnavailable,
    TerminalError,
    Throttled,
    UnexpectedError,
)
from dataworks_tasks.store.wire_versions import too_old_server

_INTERNAL_ERROR, _THROTTLED = 1, 16500
_COMMAND, _NAMED = re.compile(r"execute command \{ (\w+): .*", re.DOTALL), r"execute the command \1"
"""A server that refuses a command repeats all of it, with session and signature."""
_UNAVAILABLE = re.compile(r"ServiceUnavailable|\b503\b")
"""How Cosmos DB words an InternalError if it is only too busy (prevent-rate-limiting-errors)."""
_TRANSIENT_CODES = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        16,  # Cosmos DB: 413 under server-side retry
        24,  # LockTimeout
        43,  # CursorNotFound
        46,  # LockBusy
        50,  # MaxTimeMSExpired; Cosmos DB: server-side retry gave up
        64,  # WriteConcernFailed
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        112,  # WriteConflict
        133,  # FailedToSatisfyReadPreference
        134,  # ReadConcernMajorityNotAvailableYet
        136,  # CappedPositionLost: the oldest documents went while they were read
        175,  # QueryPlanKilled: an index or the collection was dropped while it was read
        189,  # PrimarySteppedDown
        202,  # NetworkInterfaceExceededTimeLimit
        237,  # CursorKilled
        246,  # SnapshotUnavailable: a majority does not have the collection's latest change yet
        251,  # NoSuchTransaction: the server that had it stepped down or restarted
        262,  # ExceededTimeLimit
        267,  # PreparedTransactionInProgress
        290,  # TransactionExceededLifetimeLimitSeconds
        314,  # ObjectIsBusy
        317,  # ConnectionPoolExpired
        365,  # TemporarilyUnavailable
        9001,  # SocketException
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11601,  # Interrupted: somebody killed the operation
        11602,  # InterruptedDueToReplStateChange
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
        14031,  # OutOfDiskSpace: an operator can make room while the run waits
    }
)
"""Transient error codes of servers (mongo/src/mongo/base/error_codes.yml)."""

_INVALID_OPTIONS = 72


def passes(code: int | None, message: str) -> bool:
    """Return whether an error is transient. MongoDB's own InternalError need not be."""
    return code in _TRANSIENT_CODES or (
        code == _INTERNAL_ERROR and _UNAVAILABLE.search(message) is not None
    )


_RETRY_AFTER = re.compile(r"RetryAfterMs=(\d+)")


def retry_after_seconds(message: str) -> float | None:
    """Return the pause that Cosmos DB asks for in an error text; None if it names none."""
    found = _RETRY_AFTER.search(message)
    return int(found.group(1)) / 1000 if found else None


def classify(error: PyMongoError) -> DataWorksError:
    """Translate a driver's error: transient, throttled or terminal. Texts hold no secret."""
    message = str(error).partition(", full error")[0].partition(", Timeout:")[0]
    message = message.partition(" (configured timeouts:")[0].rstrip(".")
    too_old = too_old_server(message)
    if too_old is not None:
        return too_old
    if isinstance(error, BulkWriteError):
        return _classify_bulk(error)
    if isinstance(error, OperationFailure):
        return _classify_failure(error, message)
    if isinstance(error, ConfigurationError):
        return SettingsError(f"the database cannot be used with these settings: {message}")
    if isinstance(error, AutoReconnect | ConnectionFailure | WaitQueueTimeoutError):
        return StoreUnavailable(f"the database does not answer: {message}")
    return TerminalError(f"the driver refused: {message}")


@contextmanager
def classified() -> Iterator[None]:
    """Raise a driver's error as one of ours."""
    try:
        yield
    except PyMongoError as error:
        raise classify(error) from None


def _classify_bulk(error: BulkWriteError) -> DataWorksError:
    """Treat a failover in the middle of a bulk write as transient, like that of a single write."""
    details = error.details
    found = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
    message = "; ".join(str(each.get("errmsg", "")) for each in found[:1])
    texts = [(each.get("code"), str(each.get("errmsg", ""))) for each in found]
    throttled = [text for code, text in texts if code == _THROTTLED]
    if throttled and all(code == _THROTTLED or passes(code, text) for code, text in texts):
        pauses = [pause for pause in map(retry_after_seconds, throttled) if pause is not None]
        return Throttled(
            "the request rate of the database is exceeded", "", max(pauses, default=None)
        )
    if found and all(passes(code, text) for code, text in texts):
        return StoreUnavailable(f"the database cannot do this now: {message}")
    return TerminalError(f"the database refused: {message}")


def _classify_failure(error: OperationFailure, message: str) -> DataWorksError:
    if error.code == _THROTTLED:
        return Throttled(
            "the request rate of the database is exceeded", "", retry_after_seconds(message)
        )
    if error.code == _INVALID_OPTIONS and "afterClusterTime" in message:
        return StoreUnavailable(f"a node has not received the newest changes yet: {message}")
    if passes(error.code, message) or isinstance(error, ExecutionTimeout):
        return StoreUnavailable(f"the database cannot do this now: {message}")
    return _refusal(error.code, message)


def _refusal(code: int | None, message: str) -> DataWorksError:
    if code == _INTERNAL_ERROR:
        return UnexpectedError(f"the database had an internal error: {message}")
    if code == 18:
        return SettingsError(
            "the database refused the user name or password", "Check the connection string"
        )
    if code == 13:
        return RightMissing(
            f"the database user lacks a right: {_COMMAND.sub(_NAMED, message)}",
            "Grant readWrite on the databases of the run",
        )
    return TerminalError(f"the database refused: {message}")
