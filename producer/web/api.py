"""The API: the same figures as the pages, as JSON."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.monitor.worker_listing import ProcessState
from producer.view.hidden_keys import failure_json
from producer.view.schema_version import SCHEMA_VERSION
from producer.web.pages import read_filter, read_number
from producer.web.request import Request
from producer.web.run_reader import is_working

_EVERY_SECONDS = 1.0


class Api(Request):
    """An answer in JSON."""

    def ask_to_sign_in(self) -> None:
        """Answer with status 401: programs are not redirected to a form."""
        raise HTTPError(401, reason="Sign in, or send the token: Authorization: Bearer ...")

    def write_error(self, status_code: int, **_: Any) -> None:
        """Write an error as JSON, without a traceback."""
        self.answer({"error": self._reason, "status": status_code})

    def answer(self, value: dict[str, Any]) -> None:
        """Send the value, and the version of its schema."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps({"version": SCHEMA_VERSION, **value}, default=str))


class RunsApi(Api):
    """``GET /api/runs``."""

    async def get(self) -> None:
        """Write a page of runs, newest first."""
        found = await self.read(
            self.site.reader.runs, read_filter(self), read_number(self, "first")
        )
        runs = [run.as_json() for run in found.runs]
        unreadable = [run.as_json() for run in found.unreadable]
        listing = {"runs": runs, "total": found.total, "following": found.following}
        self.answer({**listing, "unreadable": unreadable})


class RunApi(Api):
    """``GET /api/runs/RUN``."""

    async def get(self, run_id: str) -> None:
        """Write the run as of now."""
        detail = await self.read(self.site.reader.detail, run_id)
        self.answer(detail.as_json(hide_keys=self.site.options.hide_keys))


class FailuresApi(Api):
    """``GET /api/runs/RUN/failures``."""

    async def get(self, run_id: str) -> None:
        """Write some failures from ``after`` on."""
        page = await self.read(self.site.ledger.failure_page, run_id, read_number(self, "after"))
        failures = [self._shown(failure) for failure in page.failures]
        self.answer({"failures": failures, "after": page.cursor or None})

    def _shown(self, failure: DocumentFailure) -> dict[str, Any]:
        return failure_json(failure, self.site.options.hide_keys)


class WorkersApi(Api):
    """``GET /api/workers``."""

    async def get(self) -> None:
        """Write the worker processes that reported to recent runs."""
        listing = await self.read(self.site.reader.workers)
        workers = [
            {
                **asdict(row.report),
                "run": row.run_id,
                "alive": row.state is not ProcessState.ENDED,
                "state": row.state,
            }
            for row in listing.rows
        ]
        self.answer({"workers": workers, "workers_alive": listing.alive})


class EventsApi(Api):
    """``GET /api/events?run=RUN``: server-sent events, a snapshot each second until it ends."""

    async def get(self) -> None:
        """Send snapshots as long as somebody listens."""
        run_id = self.get_query_argument("run")
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")
        try:
            while True:
                detail = await self.read(self.site.reader.detail, run_id)
                text = json.dumps(
                    detail.as_json(hide_keys=self.site.options.hide_keys), default=str
                )
                self.write(f"data: {text}\n\n")
                await self.flush()
                if not is_working(detail):
                    return
                await asyncio.sleep(_EVERY_SECONDS)
        except StreamClosedError:
            return
