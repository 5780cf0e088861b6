"""Pauses between retries."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dataworks_tasks import backoff
from dataworks_tasks.backoff import Backoff


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    doubling = Backoff(base_seconds=0.1, cap_seconds=1.0)
    assert [doubling.ceiling(attempt) for attempt in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert Backoff(base_seconds=1e-9, cap_seconds=10.0).ceiling(10**6) == pytest.approx(
        1.0737, 0.01
    )


def test_a_pause_is_drawn_from_the_complete_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high

    monkeypatch.setattr(backoff, "random", SimpleNamespace(uniform=uniform))
    pauses = Backoff(base_seconds=0.5, cap_seconds=3.0, tries=4)
    assert list(pauses.pauses()) == [0.5, 1.0, 2.0, 3.0]
    assert asked == [(0.0, 0.5), (0.0, 1.0), (0.0, 2.0), (0.0, 3.0)]


def test_what_is_used_unless_something_else_is_asked_for() -> None:
    assert Backoff() == Backoff(base_seconds=0.05, cap_seconds=5.0, tries=8)
