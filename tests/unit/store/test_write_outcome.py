"""A server's reply, document by document."""

from __future__ import annotations

from typing import Any

import pytest

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.store.driver_errors import retry_after_seconds
from dataworks_tasks.store.write_outcome import WriteOutcome, read_reply

THROTTLED = "Error=16500, RetryAfterMs=34, Details='Response status code ...'"


def error(index: int, code: int, message: str = "") -> dict[str, Any]:
    return {"index": index, "code": code, "errmsg": message}


def test_all_written() -> None:
    assert read_reply({"n": 3, "ok": 1}, 3) == WriteOutcome(written=3)


def test_each_document_has_one_outcome() -> None:
    errors = [error(0, 11000), error(2, 16500, THROTTLED), error(3, 91), error(4, 121, "refused")]
    outcome = read_reply({"n": 1, "writeErrors": errors}, 6)
    assert outcome.written == 2
    assert outcome.duplicates == (0,)
    assert (outcome.throttled, outcome.delay_seconds) == ((2,), 0.034)
    assert outcome.retryable == (3,)
    assert [(item.position, item.code, item.reason) for item in outcome.rejected] == [
        (4, 121, "refused")
    ]
    assert outcome.to_send_again == (2, 3)


def test_a_write_concern_error_completes_nothing() -> None:
    reply = {"n": 2, "writeConcernError": {"code": 64, "errmsg": "waiting for replication"}}
    assert read_reply(reply, 2).retryable == (0, 1)
    both = read_reply({**reply, "writeErrors": [error(1, 11000)]}, 3)
    assert (both.written, both.duplicates, both.to_send_again) == (0, (), (0, 1, 2))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [(THROTTLED, 0.034), ("Error=16500, Details='Insert error.'", None), ("", None)],
)
def test_the_delay_is_read_from_the_text(message: str, seconds: float | None) -> None:
    assert retry_after_seconds(message) == seconds


def test_backoff_is_bounded_and_grows() -> None:
    backoff = Backoff(base_seconds=0.1, cap_seconds=2.0, tries=50)
    assert [backoff.ceiling(attempt) for attempt in (0, 1, 2, 10, 4000)] == [0.1, 0.2, 0.4, 2, 2]
    assert all(0 <= pause <= 2.0 for pause in backoff.pauses())
