"""What is asked again, how often, and with which pauses."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from dataworks_tasks import backoff
from dataworks_tasks.backoff import Backoff
from dataworks_tasks.errors import StoreUnavailable, TerminalError, Throttled
from dataworks_tasks.store import retrying
from dataworks_tasks.store.retrying import retry_transient, retry_while_throttled

BACKOFF = Backoff(base_seconds=1.0, cap_seconds=4.0, tries=3)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses that were made."""
    made: list[float] = []
    monkeypatch.setattr(retrying, "time", SimpleNamespace(sleep=made.append))
    monkeypatch.setattr(backoff, "random", SimpleNamespace(uniform=lambda _low, high: high))
    return made


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def ask() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return ask


def test_trouble_that_passes_is_tried_again(pauses: list[float]) -> None:
    ask = failing(StoreUnavailable("1"), StoreUnavailable("2"), StoreUnavailable("3"))
    assert retry_transient(ask, BACKOFF) == "answer"
    assert pauses == [1.0, 2.0, 4.0]


def test_the_last_error_is_raised(pauses: list[float]) -> None:
    errors = [StoreUnavailable(str(number)) for number in range(1, 6)]
    with pytest.raises(StoreUnavailable, match="4"):
        retry_transient(failing(*errors), BACKOFF)
    assert len(pauses) == 3


def test_terminal_errors_are_raised_at_once(pauses: list[float]) -> None:
    with pytest.raises(TerminalError):
        retry_transient(failing(TerminalError("no")), BACKOFF)
    assert pauses == []


def test_throttling_is_waited_out_however_long(pauses: list[float]) -> None:
    ask = failing(*[Throttled("slow")] * 20)
    assert retry_transient(ask, BACKOFF) == "answer"
    assert pauses == [2.0, *[4.0] * 19]
    assert retry_while_throttled(failing(Throttled("slow")), BACKOFF) == "answer"


def test_the_servers_own_pause_is_kept(pauses: list[float]) -> None:
    ask = failing(Throttled("slow", "", 0.25), Throttled("slow", "", 0.0))
    assert retry_while_throttled(ask, BACKOFF) == "answer"
    assert pauses == [0.25, 4.0]


def test_the_last_try_is_throttled_too(pauses: list[float]) -> None:
    errors = [*[StoreUnavailable("away")] * 3, Throttled("slow", "", 0.5)]
    assert retry_transient(failing(*errors), BACKOFF) == "answer"
    assert pauses == [1.0, 2.0, 4.0, 0.5]
