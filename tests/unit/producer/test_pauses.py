"""How often a command looks at its run: often where a person waits, seldom in between."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dataworks_tasks.ledger.contract import RunProgress, RunState
from producer.drive import pauses
from producer.drive.pauses import Pauses


class _Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    found = _Clock()
    monkeypatch.setattr(pauses, "time", found)
    return found


def _progress(acknowledged: int, total: int | None = 100) -> RunProgress:
    return RunProgress(
        run_id="gen-1",
        state=RunState.RUNNING,
        created_at=datetime.now(UTC),
        total=total,
        planned=total or 0,
        acknowledged=acknowledged,
        gaps=1,
        counters={},
        failures=0,
        finished_at=None,
        last_acknowledged_at=None,
        last_error=None,
    )


def test_pauses_grow_from_the_start(clock: _Clock) -> None:
    looks = Pauses()
    found = []
    for _ in range(30):
        found.append(looks.after(_progress(0)))
        clock.now += found[-1]
    assert found[0] == 0.02
    assert found == sorted(found)
    assert found[-1] == 0.2
    assert sum(pause < 0.2 for pause in found) < 16


def test_pauses_are_short_again_when_little_is_left(clock: _Clock) -> None:
    looks = Pauses()
    clock.now += 10.0
    assert looks.after(_progress(50)) == 0.2
    assert looks.after(_progress(99)) == pytest.approx(10 / 99 / 4)
    assert looks.after(_progress(100)) == 0.02


def test_a_long_finish_is_not_looked_at_all_the_time(clock: _Clock) -> None:
    looks = Pauses()
    clock.now += 10.0
    assert looks.after(_progress(100)) == 0.02
    clock.now += 60.0
    assert looks.after(_progress(100)) == 0.2


def test_planning_is_looked_at_seldom(clock: _Clock) -> None:
    looks = Pauses()
    clock.now += 60.0
    assert looks.after(_progress(0, None)) == 0.2
