"""Whether the reader of changes waits for the next one, or leaves its process to the windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from dataworks_tasks.sync.follow_step import _WINDOWS_FOR_A_HURRY as MANY
from dataworks_tasks.sync.follow_step import _Follower

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def follower(
    open_windows: int, seconds: float | None, *, copied: bool = True, stale: float = 0.0
) -> Any:
    """Return a turn: so many windows are open, and one was acknowledged so many seconds ago."""
    last = None if seconds is None else NOW - timedelta(seconds=seconds)
    progress = SimpleNamespace(planned=100, acknowledged=100 - open_windows)
    progress.last_acknowledged_at = last
    found: Any = _Follower.__new__(_Follower)
    found._run_id, found._copied = "mig-1", False
    found._part = SimpleNamespace(stale_seconds=stale)
    found._drive = SimpleNamespace(ledger=SimpleNamespace(progress=lambda _: progress))
    found._windows = SimpleNamespace(
        is_copied=lambda _: copied,
        now=NOW.timestamp,
        status=lambda _: SimpleNamespace(open_windows=open_windows),
    )
    return found


def test_it_hurries_while_many_windows_wait_and_are_acknowledged() -> None:
    assert follower(MANY, 0.1)._hurries()
    assert not follower(MANY - 1, 0.1)._hurries(), "few windows wait"


@pytest.mark.parametrize("seconds", [None, 0.5, 60.0])
def test_windows_of_a_paused_run_do_not_make_it_read_without_end(seconds: float | None) -> None:
    assert not follower(MANY, seconds)._hurries()


def test_it_takes_its_time_during_the_copy_and_where_windows_wait_for_the_source() -> None:
    assert not follower(MANY, 0.1, copied=False)._hurries()
    assert not follower(MANY, 0.1, stale=10.0)._hurries()


def test_a_turn_in_a_hurry_ends_even_if_the_windows_are_done_meanwhile() -> None:
    """A second look would be as brief, and the first change after it a window of its own."""
    found = follower(0, 0.1)
    captured = SimpleNamespace(is_idle=True, time=SimpleNamespace(time=NOW.timestamp()))
    assert found._pause(captured, hurries=True) == 0.0
    found._copied = True
    assert found._pause(captured, hurries=False) is None
