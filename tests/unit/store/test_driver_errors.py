"""Which of a server's errors are retried, waited out, or end a run."""

from __future__ import annotations

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
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
from dataworks_tasks.store.driver_errors import (
    classified,
    classify,
    passes,
    retry_after_seconds,
)

PASSING = [6, 7, 16, 24, 43, 46, 50, 64, 89, 91, 112, 133, 134, 136, 175, 189, 202, 237, 246, 262]
PASSING += [314, 317, 365, 9001, 10107, 11600, 11601, 11602, 13435, 13436, 14031]
UNAVAILABLE = "Error=1, Details='Response status code: ServiceUnavailable (503)'"


@pytest.mark.parametrize("code", PASSING)
def test_codes_that_pass_by_themselves(code: int) -> None:
    assert passes(code, "")
    found = classify(OperationFailure("it says why", code))
    assert type(found) is StoreUnavailable
    assert found.fact == "the database cannot do this now: it says why"


@pytest.mark.parametrize("code", [0, 2, 9, 11000, 121, None])
def test_other_codes_do_not(code: int | None) -> None:
    assert not passes(code, "")
    assert not passes(code, UNAVAILABLE)
    found = classify(OperationFailure("it says why", code))
    assert type(found) is TerminalError
    assert found.fact == "the database refused: it says why"


@pytest.mark.situation(
    12,
    "MongoDB answers with InternalError (code 1) every time",
    before="`running`, for ever",
    now="`failed` after six tries without progress; Cosmos DB's 503 is waited out",
)
def test_an_internal_error_passes_only_where_it_says_that_the_service_is_busy() -> None:
    """MongoDB's own may come for ever: it is tried a few times, and then ends the run by name."""
    assert passes(1, UNAVAILABLE)
    assert passes(1, "status 503")
    assert not passes(1, "assertion src/mongo/db/x.cpp:1503")
    assert type(classify(OperationFailure(UNAVAILABLE, 1))) is StoreUnavailable
    found = classify(OperationFailure("invariant failed", 1))
    assert type(found) is UnexpectedError
    assert found.fact == "the database had an internal error: invariant failed"


def test_throttling_names_its_pause() -> None:
    found = classify(OperationFailure("Error=16500, RetryAfterMs=34, Details=''", 16500))
    assert isinstance(found, Throttled)
    assert found.fact == "the request rate of the database is exceeded"
    assert found.remedy == ""
    assert found.delay_seconds == 0.034
    assert retry_after_seconds("RetryAfterMs=soon") is None
    assert retry_after_seconds("RetryAfterMs=1500") == 1.5


@pytest.mark.parametrize(
    ("error", "kind", "fact", "remedy"),
    [
        (
            OperationFailure("bad auth", 18),
            SettingsError,
            "the database refused the user name or password",
            "Check the connection string",
        ),
        (
            OperationFailure("not authorized", 13),
            RightMissing,
            "the database user lacks a right: not authorized",
            "Grant readWrite on the databases of the run",
        ),
        (
            ExecutionTimeout("too slow", 4711),
            StoreUnavailable,
            "the database cannot do this now: too slow",
            "",
        ),
        (
            ConfigurationError("no such option"),
            SettingsError,
            "the database cannot be used with these settings: no such option",
            "",
        ),
        (AutoReconnect("reset"), StoreUnavailable, "the database does not answer: reset", ""),
        (
            ServerSelectionTimeoutError("nobody, Timeout: 30s, Topology: x"),
            StoreUnavailable,
            "the database does not answer: nobody",
            "",
        ),
        (WaitQueueTimeoutError("busy"), StoreUnavailable, "the database does not answer: busy", ""),
        (InvalidOperation("closed"), TerminalError, "the driver refused: closed", ""),
    ],
)
def test_each_error_has_its_kind(
    error: PyMongoError, kind: type[DataWorksError], fact: str, remedy: str
) -> None:
    found = classify(error)
    assert type(found) is kind
    assert (found.fact, found.remedy) == (fact, remedy)


def test_the_answer_of_the_server_is_not_repeated() -> None:
    """It holds the documents of the command."""
    found = classify(OperationFailure("refused, full error: {'secret': 1}", 2))
    assert found.fact == "the database refused: refused"


def test_a_server_that_is_too_old_is_named() -> None:
    text = (
        "Server at h:1 reports wire version 2, but this version of PyMongo requires at least 8 "
        "(MongoDB 4.2)."
    )
    assert isinstance(classify(ConfigurationError(text)), SettingsError)
    assert "settings:" not in classify(ConfigurationError(text)).fact


def test_errors_are_raised_as_ours() -> None:
    with pytest.raises(StoreUnavailable) as caught, classified():
        raise AutoReconnect("reset")
    assert caught.value.__cause__ is None
    with pytest.raises(KeyError), classified():
        raise KeyError("not the driver's")


def bulk(*errors: tuple[int, str], concern: tuple[int, str] | None = None) -> BulkWriteError:
    written = [
        {"index": at, "code": code, "errmsg": text} for at, (code, text) in enumerate(errors)
    ]
    concerns = [{"code": concern[0], "errmsg": concern[1]}] if concern else []
    return BulkWriteError({"writeErrors": written, "writeConcernErrors": concerns})


def test_a_bulk_write_passes_where_each_of_its_errors_does() -> None:
    found = classify(bulk((189, "stepped down"), (91, "shutting down")))
    assert type(found) is StoreUnavailable
    assert found.fact == "the database cannot do this now: stepped down"
    assert type(classify(bulk(concern=(64, "not replicated")))) is StoreUnavailable
    assert type(classify(bulk((1, UNAVAILABLE)))) is StoreUnavailable
    refused = classify(bulk((121, "no document"), (189, "stepped down")))
    assert type(refused) is TerminalError
    assert refused.fact == "the database refused: no document"
    assert type(classify(bulk((189, "stepped down"), concern=(2, "bad")))) is TerminalError
    assert classify(bulk()).fact == "the database refused: "
    assert type(classify(BulkWriteError({}))) is TerminalError


def test_a_bulk_write_that_is_throttled_waits_as_long_as_the_server_asks() -> None:
    found = classify(bulk((16500, "RetryAfterMs=20"), (16500, "RetryAfterMs=70")))
    assert isinstance(found, Throttled)
    assert found.delay_seconds == 0.07
    assert isinstance(classify(bulk((16500, ""), (91, "shutting down"))), Throttled)
    assert type(classify(bulk((16500, ""), (121, "refused by a validator")))) is TerminalError
