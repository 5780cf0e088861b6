"""Alert thresholds: an alert fires once when one is exceeded, and once when that is over."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from pydantic import SecretStr

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.follow_gauge import FollowGauge
from dataworks_tasks.monitor.alert_rules import alert_rules
from dataworks_tasks.monitor.alerts import Alert, AlertBoard
from dataworks_tasks.monitor.operation import OperationMetrics, PerformanceMonitor
from dataworks_tasks.monitor.webhook import Webhook
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.settings import ConfigManager, FrameworkConfig
from tests.unit.monitor.run_samples import at, progress

CONFIG = FrameworkConfig(alert_min_rate=100)


def observed(seconds: float = 60, documents: int = 60_000, **changes: Any) -> OperationMetrics:
    return PerformanceMonitor().observe(progress(seconds, documents, **changes), now=at(60))


def board() -> AlertBoard:
    return AlertBoard(alert_rules(CONFIG))


@pytest.mark.parametrize(
    ("name", "bad", "words"),
    [
        (
            "error-rate",
            observed(failures=3000),
            "4.8% of the documents failed or differ, more than 1.0%",
        ),
        ("low-rate", observed(documents=60), "1 documents a second, fewer than 100"),
        (
            "stall",
            observed(last_acknowledged_at=at(-90)),
            "nothing has been acknowledged for 150 s",
        ),
        ("throttling", observed(counters={"waited_milliseconds": 45_000}), "75% of their time"),
        (
            "lag",
            observed(following=FollowGauge(at(60).timestamp(), 400.0)),
            "the target is 400 s behind the source, more than 300 s",
        ),
        (
            "history",
            observed(following=FollowGauge(at(60).timestamp(), 200.0, 150.0)),
            "reaches back only 150 s",
        ),
        (
            "stopped-following",
            observed(following=FollowGauge(at(-70).timestamp(), 0.0)),
            "nobody has read the source's changes for 130 s",
        ),
        ("worker-memory", None, "a worker process took 600 MB, more than 550 MB"),
        ("old-gap", None, "is 400 s old"),
    ],
)
def test_each_limit_is_raised_once_and_ended_once(
    name: str, bad: OperationMetrics | None, words: str
) -> None:
    bad = bad or {"worker-memory": _large_worker, "old-gap": _old_gap}[name]()
    alerts = board()
    assert alerts.check(observed()) == []
    (raised,) = alerts.check(bad)
    assert (raised["name"], raised["state"]) == (name, "raised")
    assert words in raised["message"]
    assert raised["run"] in raised["message"]
    assert alerts.check(bad) == []
    assert alerts.raised == (raised,)
    (ended,) = alerts.check(observed())
    assert (ended["name"], ended["state"]) == (name, "ended")
    assert ended["message"].endswith(f": the {name} alert has ended")
    assert not alerts.raised


def _large_worker() -> OperationMetrics:
    (worker,) = progress(60).workers
    large = type(worker)(worker.name, worker.reported_at, 0, 600_000_000)
    return observed(workers=(large,))


def _old_gap() -> OperationMetrics:
    seconds = iter((0.0, 400.0))
    monitor = PerformanceMonitor(clock=lambda: next(seconds))
    monitor.observe(progress(0), BatchRange(0, 1), at(0))
    return monitor.observe(progress(400, 100_000), BatchRange(0, 1), at(400))


def test_a_run_that_does_not_work_raises_nothing() -> None:
    assert board().check(observed(documents=0, failures=500, state=RunState.PAUSED)) == []


def test_a_limit_of_zero_is_off() -> None:
    assert "low-rate" not in {rule.name for rule in alert_rules(FrameworkConfig())}


def test_a_run_that_is_gone_has_no_alert() -> None:
    alerts = board()
    alerts.check(observed(failures=3000))
    alerts.keep_only(set())
    assert not alerts.raised


def test_a_webhook_must_be_a_web_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEWORK_ALERT_WEBHOOK_URL", "file:///etc/passwd")
    with pytest.raises(SettingsError, match=r"FRAMEWORK_ALERT_WEBHOOK_URL.*http://"):
        ConfigManager().load_config("no file")


class _Receiver(BaseHTTPRequestHandler):
    received: list[dict[str, Any]] = []  # noqa: RUF012 - reset by the fixture
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).received.append(json.loads(body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    _Receiver.received, _Receiver.status = [], 200
    with HTTPServer(("127.0.0.1", 0), _Receiver) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _alert() -> Alert:
    (alert,) = board().check(observed(failures=3000))
    return alert


def test_a_webhook_is_posted_the_alert(receiver: HTTPServer) -> None:
    alert = _alert()
    Webhook(SecretStr(f"http://127.0.0.1:{receiver.server_port}/hook"))(alert)
    assert _Receiver.received == [{**alert, "text": alert["message"]}]


def test_a_webhook_that_fails_is_logged_without_its_address(
    receiver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    _Receiver.status = 500
    with caplog.at_level(logging.WARNING):
        Webhook(SecretStr(f"http://127.0.0.1:{receiver.server_port}/token"))(_alert())
        Webhook(SecretStr("http://127.0.0.1:1/token"))(_alert())
    assert "answered 500" in caplog.text
    assert "cannot be reached: URLError" in caplog.text
    assert "token" not in caplog.text
