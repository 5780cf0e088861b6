"""What the measured time of a copy contains."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from producer.estimate import measured_copy
from producer.estimate.measured_copy import CopySite, measure_copy


def test_a_collection_that_ends_early_is_not_charged_with_the_pause_between_two_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was: a plan for a thousand documents took half a second longer than the run."""

    def work(self: Any, _resources: object) -> None:
        time.sleep(0.05)
        self._add(500, 1000)

    monkeypatch.setattr(measured_copy, "_INTERVAL_SECONDS", 20.0)
    monkeypatch.setattr(measured_copy._Measurement, "_planned", lambda _self: iter(()))
    monkeypatch.setattr(measured_copy._Measurement, "_work", work)
    config = SimpleNamespace(max_insert_workers=1, parallel_cursors=2)
    site = cast("CopySite", SimpleNamespace(config=config))
    found = measure_copy(site, cast("Any", None), 30, write=False)
    assert found.documents == 1000
    assert found.seconds < 10
    assert len(found.rates) == 1
