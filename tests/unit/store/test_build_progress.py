"""How much of an index build is done, from what a server says of it."""

from __future__ import annotations

from typing import Any

import pytest

from dataworks_tasks.store.build_progress import BuildProgress

SCAN = "Index Build: scanning collection"
INSERT = "Index Build: inserting keys from external sorter into index"


def _operation(message: str, done: int | None = None, total: int = 100) -> dict[str, Any]:
    if done is None:
        return {"msg": message}
    return {"msg": f"{message}: {done}/{total}", "progress": {"done": done, "total": total}}


def _shares(indexes: int, *operations: dict[str, Any]) -> list[float]:
    progress = BuildProgress(indexes)
    shares = []
    for operation in operations:
        progress.note(operation)
        shares.append(progress.share)
    return shares


def test_it_rises_through_the_phases_of_a_build_of_two_indexes() -> None:
    shares = _shares(
        2,
        _operation(SCAN),
        _operation(SCAN, 50),
        _operation(SCAN, 100),
        _operation(SCAN),  # the keys are sorted, and the server says nothing
        _operation(INSERT),
        _operation(INSERT, 50),
        _operation(INSERT, 100),
        _operation(INSERT),
        _operation(INSERT, 0),
        _operation(INSERT, 100),
        _operation("Index Build: draining writes received during build"),
    )
    assert shares == sorted(shares)
    assert shares[1] == pytest.approx(shares[2] / 2)
    assert shares[6] == pytest.approx((shares[2] + 1) / 2)
    assert shares[-1] == pytest.approx(1)


def test_a_phase_that_was_not_seen_leaves_it_below_the_end() -> None:
    assert _shares(5, _operation(INSERT, 90))[0] < 1
    assert _shares(1, _operation(INSERT, 90), _operation(INSERT, 10))[-1] <= 1
    assert _shares(1, _operation("Something else", 50), {}) == [0, 0]
