"""The comparison of a cut-over reads again what a lost connection cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dataworks_tasks.errors import StoreUnavailable
from producer.cutover import changed_keys
from producer.cutover.changed_keys import verify_changed


@pytest.mark.parametrize("cuts", [0, 3])
def test_a_lost_connection_is_waited_out(monkeypatch: pytest.MonkeyPatch, cuts: int) -> None:
    left = cuts

    def still_different(*_: Any) -> Iterator[str]:
        nonlocal left
        yield "a difference"
        if left:
            left -= 1
            raise StoreUnavailable("connection closed")

    monkeypatch.setattr(changed_keys, "still_different", still_different)
    monkeypatch.setattr(changed_keys, "migration_routes", lambda *_: {0: None})
    monkeypatch.setattr(changed_keys, "_changed_keys", lambda *_: iter([(0, [])]))
    nothing: Any = None
    different, _ = verify_changed(nothing, nothing)
    assert different == 1, "counted once"
    assert not left
