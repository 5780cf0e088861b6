"""The lag of a run over time, as a picture."""

from __future__ import annotations

from dataworks_tasks.ledger.history import HistorySample
from producer.view.rate_chart import lag_chart, lag_points


def test_the_lag_is_drawn_where_a_run_follows() -> None:
    samples = [HistorySample(float(at), 0, 0, 0, lag) for at, lag in enumerate((0.5, 90.0, 3.0))]
    points = lag_points(samples)
    assert [(point.at, point.rate) for point in points] == [(1.0, 90.0), (2.0, 3.0)]
    assert "Seconds behind the source: 3 now, 90 at most" in lag_chart(points)


def test_a_run_that_follows_nothing_has_no_lag() -> None:
    assert lag_chart(lag_points([HistorySample(1.0, 5, 5, 0), HistorySample(2.0, 6, 6, 0)])) == ""
