"""What is put on the queue: the task, its arguments, its place, and what Flower shows of it."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import fakeredis
import pytest
from kombu.exceptions import OperationalError

from dataworks_tasks.broker.messages import (
    RangeMessage,
    range_message,
    read_step,
    send_finish,
    send_step,
)
from dataworks_tasks.broker.run_queue import RunQueue
from dataworks_tasks.errors import BadMessage, LedgerUnavailable
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob, GenerationPart, RunKind, VerificationJob
from tests.contract.contract_support import generation_spec, migration_spec

FIRST, LATER = 0, 6


class App:
    """Keeps what is sent instead of sending it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.error = error
        self.producer_pool = SimpleNamespace(acquire=self._acquire)

    def send_task(self, name: str, **options: Any) -> None:
        if self.error:
            raise self.error
        self.sent.append((name, options))

    @contextmanager
    def _acquire(self, *, block: bool) -> Any:
        assert block
        yield "a producer"


def sending(app: App) -> Any:
    return cast("Any", app)


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        (RunKind.GENERATION, "dataworks.generate_range"),
        (RunKind.MIGRATION, "dataworks.copy_range"),
        (RunKind.VERIFICATION, "dataworks.verify_range"),
        (RunKind.REPAIR, "dataworks.repair_range"),
    ],
)
def test_a_range_is_sent_as_the_task_of_its_kind(kind: RunKind, task: str) -> None:
    app = App()
    message = RangeMessage(kind, "gen-1", BatchRange(5, 9), "shop.orders")
    message.send(sending(app), "fleet", FIRST, retry=False)
    assert app.sent == [
        (
            task,
            {
                "args": ("gen-1", 5, 9),
                "queue": "fleet",
                "priority": FIRST,
                "argsrepr": "shop.orders[5:9)",
                "kwargsrepr": "{'run': 'gen-1'}",
                "retry": False,
            },
        )
    ]


def test_a_message_comes_after_those_that_wait() -> None:
    app = App()
    RangeMessage(RunKind.GENERATION, "gen-1", BatchRange(5, 9)).send(sending(app), "fleet")
    send_step(sending(app), "gen-1", "plan", "fleet")
    assert [options["priority"] for _, options in app.sent] == [LATER, LATER]


def test_steps_and_finishes_name_their_run() -> None:
    app = App()
    send_step(sending(app), "gen-1", "plan", "fleet", FIRST, retry=False)
    send_finish(sending(app), "gen-1", "fleet")
    assert app.sent == [
        (
            "dataworks.drive_run",
            {
                "args": ("gen-1", "plan"),
                "queue": "fleet",
                "priority": FIRST,
                "argsrepr": "plan gen-1",
                "kwargsrepr": "{'run': 'gen-1'}",
                "retry": False,
            },
        ),
        (
            "dataworks.finish_run",
            {
                "args": ("gen-1",),
                "queue": "fleet",
                "priority": FIRST,
                "argsrepr": "gen-1",
                "kwargsrepr": "{'run': 'gen-1'}",
            },
        ),
    ]


@pytest.mark.parametrize("error", [OperationalError("away"), ConnectionResetError("reset")])
def test_a_broker_that_does_not_answer_is_named(error: Exception) -> None:
    app = sending(App(error))
    with pytest.raises(LedgerUnavailable, match="the broker does not answer"):
        RangeMessage(RunKind.GENERATION, "gen-1", BatchRange(5, 9)).send(app, "fleet")
    with pytest.raises(LedgerUnavailable, match="the broker does not answer"):
        send_step(app, "gen-1", "plan", "fleet")
    with pytest.raises(LedgerUnavailable, match="the broker does not answer"):
        send_finish(app, "gen-1", "fleet")


@pytest.mark.parametrize("step", ["plan", "watch", "change-log"])
def test_a_step_is_named_in_small_letters(step: str) -> None:
    assert read_step(step) == step


@pytest.mark.parametrize("step", ["", "Plan", "a b", "-a", "a-", "x" * 21, 5, None, "plan\n"])
def test_other_steps_are_refused(step: object) -> None:
    with pytest.raises(BadMessage) as caught:
        read_step(step)
    assert caught.value.fact == "a message does not name a step of a run"
    assert caught.value.remedy == "Only dataworks itself should write to its queue"


def test_a_message_says_which_collection_it_fills() -> None:
    parts = (
        GenerationPart(namespace=Namespace("shop", "orders"), position=0, first=0, count=50),
        GenerationPart(namespace=Namespace("shop", "people"), position=1, first=50, count=50),
    )
    job = GenerationJob(name="test", seed=7, parts=parts, probe_digest="-")
    spec = generation_spec(100).model_copy(update={"job": job})
    shown = {
        (start, stop): range_message(spec, BatchRange(start, stop)).namespace
        for start, stop in ((0, 50), (49, 50), (50, 51), (50, 100), (49, 51))
    }
    assert shown == {
        (0, 50): "shop.orders",
        (49, 50): "shop.orders",
        (50, 51): "shop.people",
        (50, 100): "shop.people",
        (49, 51): "2 collections",
    }
    message = range_message(spec, BatchRange(0, 5))
    assert (message.kind, message.run_id) == (RunKind.GENERATION, spec.run_id)
    assert message.range == (0, 5)
    copied = range_message(migration_spec(), BatchRange(0, 1))
    assert (copied.kind, copied.namespace) == (RunKind.MIGRATION, "c.d")
    check = VerificationJob(run_id=spec.run_id, of=job, exclusive=True)
    verified = range_message(spec.model_copy(update={"job": check}), BatchRange(0, 5))
    assert (verified.kind, verified.namespace) == (RunKind.VERIFICATION, "shop.orders")


@pytest.fixture
def ledger() -> RedisLedger:
    return RedisLedger(fakeredis.FakeRedis())


def test_a_run_sends_to_its_own_queue_or_to_that_of_the_message(ledger: RedisLedger) -> None:
    spec = generation_spec(100)
    ledger.create(spec, 100, "fleet", ["watch"])
    app = App()
    assert RunQueue(sending(app), ledger, spec).name == "fleet"
    queue = RunQueue(sending(app), ledger, spec, "another", retry=False)
    queue.send([BatchRange(0, 10), BatchRange(10, 20)])
    queue.send([BatchRange(20, 30)], first=True)
    queue.send([])
    queue.send_step("plan")
    queue.send_step("plan", first=True)
    queue.send_finish()
    assert [options["priority"] for _, options in app.sent] == [6, 6, 0, 6, 0, 0]
    assert {options["queue"] for _, options in app.sent} == {"another"}
    assert [options.get("producer") for _, options in app.sent] == ["a producer"] * 3 + [None] * 3
    assert [options.get("retry") for _, options in app.sent] == [False] * 5 + [None]


def test_a_queue_waits_for_the_broker_unless_asked_not_to(ledger: RedisLedger) -> None:
    spec = generation_spec(100)
    ledger.create(spec, 100, "fleet", ["watch"])
    app = App()
    RunQueue(sending(app), ledger, spec).send_step("plan")
    assert "retry" not in app.sent[0][1]


def test_refilling_sends_what_the_window_has_room_for(ledger: RedisLedger) -> None:
    spec = generation_spec(100)
    ledger.create(spec, 100, "fleet", ["watch"])
    ledger.windows.open(spec.run_id, "fleet", 10, 3)
    app = App()
    queue = RunQueue(sending(app), ledger, spec)
    assert queue.refill(first=True) == 3
    assert queue.refill() == 0
    assert [options["args"][1:] for _, options in app.sent] == [(0, 10), (10, 20), (20, 30)]
    assert {options["priority"] for _, options in app.sent} == {0}


def test_a_broker_that_is_away_is_an_outage(ledger: RedisLedger) -> None:
    spec = generation_spec(100)
    ledger.create(spec, 100, "fleet", ["watch"])
    with pytest.raises(LedgerUnavailable):
        RunQueue(sending(App(OSError("away"))), ledger, spec).send([BatchRange(0, 10)])
