"""Unexpected errors: named on one line, tried again, and stopped by name."""

from __future__ import annotations

import fakeredis
import pytest
from celery.exceptions import Ignore, Reject

from dataworks_tasks.errors import RunFailed, StoreUnavailable, UnexpectedError
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.unexpected import MOST_TRIES, check_tries, described, unexpected_errors
from tests.contract.contract_support import generation_spec


def raised(error: BaseException) -> BaseException:
    """Return the error with a traceback."""
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - any of them
        return caught


def test_one_line_says_what_was_raised_and_where() -> None:
    text = described(raised(KeyError("name")))
    assert text.startswith("KeyError: 'name' (test_unexpected.py, line ")
    assert described(KeyError("name")) == "KeyError: 'name'"
    assert described(ValueError()) == "ValueError"
    assert described(ValueError("two\n  lines")) == "ValueError: two lines"
    assert described(ValueError("x" * 1000)) == "ValueError: " + "x" * 300


def test_credentials_are_covered() -> None:
    assert "secret" not in described(ValueError("mongodb://user:secret@host/db"))


def test_it_is_raised_as_one_of_ours() -> None:
    with pytest.raises(UnexpectedError) as caught, unexpected_errors():
        raise MemoryError("too much")
    assert caught.value.fact.startswith("MemoryError: too much (test_unexpected.py, line ")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", [StoreUnavailable("away"), Reject("x", requeue=True), Ignore()])
def test_what_is_foreseen_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, unexpected_errors():
        raise error
    assert caught.value is error


def test_a_run_is_stopped_after_so_many_tries_in_a_row() -> None:
    ledger = RedisLedger(fakeredis.FakeRedis())
    spec = generation_spec(10)
    ledger.create(spec, 10, "", [])
    error = UnexpectedError("KeyError: 'x'")
    for _ in range(MOST_TRIES - 1):
        check_tries(ledger, spec.run_id, "[0:10)", error)
        check_tries(ledger, spec.run_id, "[10:20)", UnexpectedError("another range"))
        check_tries(ledger, spec.run_id, "[10:20)", UnexpectedError("it moved", "", True))
    with pytest.raises(RunFailed) as caught:
        check_tries(ledger, spec.run_id, "[0:10)", error)
    assert caught.value.fact == (
        "[0:10) failed 6 times in a row without any progress: KeyError: 'x'"
    )
    assert caught.value.remedy == (
        f"The workers' logs have the traceback. When its cause is gone: dataworks resume "
        f"{spec.run_id}"
    )
    check_tries(ledger, spec.run_id, "[0:10)", error)  # counted from the beginning again
