"""When a worker reports that it is alive."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import fakeredis
import pytest

from dataworks_tasks.errors import LedgerUnavailable
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.worker import presence
from dataworks_tasks.worker.presence import LOOK_SECONDS, Presence


def _consumer() -> Any:
    app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from={"q": 1})))
    pool = SimpleNamespace(num_processes=2)
    return SimpleNamespace(pool=pool, hostname="celery@here", app=app)


def test_a_report_that_failed_is_repeated_within_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, reports, answers = 0.0, cast("list[float]", []), True
    ledger = RedisLedger(fakeredis.FakeRedis())
    enter = ledger.workers.enter

    def watched(worker: Any) -> int:
        reports.append(now)
        if not answers:
            raise LedgerUnavailable("no room", "make some")
        return enter(worker)

    monkeypatch.setattr(presence, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(ledger.workers, "enter", watched)
    report = Presence(_consumer(), ledger)
    for second in range(30):
        now, answers = second * LOOK_SECONDS, not 7 <= second < 20
        report()
    assert reports == [0, 5, 10, 12, 14, 16, 18, 20, 25]
    assert [worker.name for worker in ledger.workers.alive()] == ["celery@here"]
