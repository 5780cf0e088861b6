"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

from rich.filesize import decimal
from tornado.template import Template

from producer.report.run_report import RunReport
from producer.view.durations import shown_duration
from producer.view.hidden_keys import hidden_reason
from producer.view.page_text import page_text
from producer.view.range_map import strip_picture
from producer.view.rate_chart import lag_chart, rate_chart


def render_report(report: RunReport, *, hide_keys: bool = False) -> str:
    """Render the report as one page without scripts; style and pictures are part of it."""
    source = files("producer.report").joinpath("report.html").read_text()
    detail = report.detail
    page = Template(source, name="report.html").generate(
        xhtml_escape=page_text,
        report=report,
        detail=detail,
        run=detail.live.run,
        counters=report.progress.counters,
        sources=any(one.source for one in report.collections),
        began=report.progress.created_at,
        ended=report.progress.finished_at,
        chart=rate_chart(detail.rate),
        lag=lag_chart(detail.lag),
        strips=[(strip, strip_picture(strip)) for strip in detail.strips],
        size=decimal,
        duration=shown_duration,
        moment=_moment,
        hide_keys=hide_keys,
        shown_reason=hidden_reason if hide_keys else str,
    )
    return page.decode()


def _moment(at: datetime | float | None) -> str:
    if at is None:
        return "not yet"
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
