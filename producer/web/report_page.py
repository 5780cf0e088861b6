"""The report of a run, to save or to print."""

from __future__ import annotations

from functools import partial

from producer.report.render_report import render_report
from producer.report.run_report import read_report
from producer.web.pages import WebPage


class ReportPage(WebPage):
    """``GET /runs/RUN/report``."""

    async def get(self, run_id: str) -> None:
        """Send the report as a file."""
        hide_keys = self.site.options.hide_keys
        report = await self.read(
            partial(read_report, hide_keys=hide_keys), self.site.ledger, run_id
        )
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{run_id}.html"')
        self.finish(render_report(report, hide_keys=hide_keys))
