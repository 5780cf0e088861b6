"""A history that is short for the copy is reported, with both figures, before the run begins."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from producer.start import history_window
from producer.start.history_window import warn_of_short_history

ANY: Any = cast("Any", None)


@pytest.mark.parametrize(
    ("window", "copy", "said"),
    [
        (3600.0, 1300.0, "reaches back 1.0 h, and copying takes about 21.7 min"),
        (3600.0, 1100.0, ""),
        (None, 1300.0, ""),
    ],
)
def test_a_short_history_is_a_warning_with_both_figures(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    window: float | None,
    copy: float,
    said: str,
) -> None:
    monkeypatch.setattr(history_window, "history_seconds", lambda _source: window)
    monkeypatch.setattr(history_window, "_copy_seconds", lambda _source, _job: copy)
    with caplog.at_level(logging.WARNING):
        warn_of_short_history(ANY, ANY)
    assert said in caplog.text
    assert bool(caplog.records) == bool(said)
