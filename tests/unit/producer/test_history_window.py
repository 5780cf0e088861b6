"""A history that is short for the copy is reported, with both figures, before the run begins."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from producer.start import history_window
from producer.start.history_window import warn_of_short_history
from tests.contract.contract_support import migration_spec

JOB: Any = migration_spec().job
SOURCE: Any = SimpleNamespace(estimated_count=lambda _namespace: 1300)


@pytest.mark.parametrize(
    ("window", "copy", "rate", "said"),
    [
        (3600.0, 1300.0, None, "back 1.0 h, and copying takes about 21.7 min with one process"),
        (3600.0, 1100.0, None, ""),
        (None, 1300.0, None, ""),
        (3600.0, 10.0, 1.0, "copying takes about 21.7 min with --max-rate 1:"),
        (3600.0, 1300.0, 100.0, "copying takes about 21.7 min with one process"),
        (3600.0, 10.0, 2.0, ""),
    ],
)
def test_a_short_history_is_a_warning_with_both_figures(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    window: float | None,
    copy: float,
    rate: float | None,
    said: str,
) -> None:
    monkeypatch.setattr(history_window, "history_seconds", lambda _source: window)
    monkeypatch.setattr(history_window, "_copy_seconds", lambda _source, _counts: copy)
    with caplog.at_level(logging.WARNING):
        warn_of_short_history(SOURCE, JOB, rate)
    assert said in caplog.text
    assert bool(caplog.records) == bool(said)


def test_a_service_without_an_oplog_is_not_asked_for_one() -> None:
    """A gateway may answer with the oplog of a server that is not the source."""
    client: Any = SimpleNamespace(capabilities=SimpleNamespace(majority_reads=False))
    assert history_window.history_window(client) is None
