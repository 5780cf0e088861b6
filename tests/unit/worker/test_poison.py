"""A document that kills every worker is found, and the run continues without it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest

from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.errors import RunFailed
from dataworks_tasks.ledger.contract import RangeResult
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.windows import Release
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.choices import OnError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import GenerationJob, GenerationPart, RunKind, RunSpec
from dataworks_tasks.sync.repair_work import RepairWork
from dataworks_tasks.worker.poison import isolate
from tests.contract.contract_support import generation_spec, migration_spec


def two_collections() -> RunSpec:
    parts = (
        GenerationPart(namespace=Namespace("shop", "orders"), position=0, first=0, count=50),
        GenerationPart(namespace=Namespace("shop", "people"), position=1, first=50, count=50),
    )
    job = GenerationJob(name="test", seed=7, parts=parts, probe_digest="-")
    return generation_spec(100).model_copy(update={"job": job})


def worker(spec: RunSpec, total: int = 100) -> Any:
    ledger = RedisLedger(fakeredis.FakeRedis())
    ledger.create(spec, total, "", [])
    return SimpleNamespace(spec=lambda _run: spec, ledger=ledger)


def wanted(spec: RunSpec, start: int, stop: int) -> RangeMessage:
    return RangeMessage(RunKind.GENERATION, spec.run_id, BatchRange(start, stop))


def isolated(process: Any, message: RangeMessage, deaths: int) -> Release:
    release = isolate(process, message, deaths)
    assert release is not None
    return release


@pytest.mark.parametrize(
    ("size", "deaths", "deadly"),
    [(10, 0, False), (10, 1, False), (10, 2, True), (1, 2, False), (1, 3, True)],
)
def test_how_many_deaths_it_takes(size: int, deaths: int, deadly: bool) -> None:
    spec = two_collections()
    process = worker(spec)
    release = isolate(process, wanted(spec, 5, 5 + size), deaths)
    assert (release is not None) is deadly
    said = process.ledger.progress(spec.run_id).last_error or ""
    assert ("died while working on" in said) is (deaths > 0)


class _Window(RepairWork):
    """Isolates after three deaths; what it hands out is recorded here."""

    def __init__(self, rest: bytes) -> None:
        self.rest, self.recorded, self.isolated = rest, 0, -1

    def isolate(self, number: int, deaths: int) -> Any:
        self.isolated = number
        return self._part() if deaths >= 3 else None

    def _part(self) -> Any:
        def record(*_: object) -> None:
            self.recorded += 1

        return SimpleNamespace(rest=self.rest, record=record, result=RangeResult({}))


@pytest.mark.parametrize(("deaths", "rest"), [(0, b""), (2, b""), (3, b""), (3, b"more")])
def test_what_a_slice_or_window_gives_is_recorded(deaths: int, rest: bytes) -> None:
    """Where nothing of it is left, its message is not sent again: its parts have their own."""
    spec, work = migration_spec(), _Window(rest)
    process = worker(spec)
    process.open_run = lambda _run: SimpleNamespace(work=work)
    process.report = lambda _documents: None
    message = wanted(spec, 5, 6)
    release = isolate(process, message, deaths)
    assert work.recorded == (deaths >= 3)
    if deaths < 3:
        assert release is None
    else:
        assert release == Release([message.range] if rest else [], progressed=True)


@pytest.mark.parametrize(("done", "deadly", "left"), [(0, 5, True), (2, 7, True), (3, 8, False)])
def test_of_several_windows_the_first_that_is_left_was_the_deadly_one(
    done: int, deadly: int, left: bool
) -> None:
    spec, work = migration_spec(), _Window(b"")
    process = worker(spec)
    process.open_run = lambda _run: SimpleNamespace(work=work)
    process.report = lambda _documents: None
    if done:
        process.ledger.acknowledge(spec.run_id, BatchRange(5, 5 + done), RangeResult({}))
    message = wanted(spec, 5, 9)
    release = isolate(process, message, 3)
    assert work.isolated == deadly
    assert release == Release([message.range] if left else [], progressed=True)


@pytest.mark.parametrize(
    ("start", "stop", "sizes"), [(0, 100, [10] * 10), (0, 15, [2] * 7 + [1]), (7, 9, [1, 1])]
)
def test_a_range_is_split_in_tenths(start: int, stop: int, sizes: list[int]) -> None:
    spec = generation_spec(100)
    release = isolated(worker(spec), wanted(spec, start, stop), 2)
    assert [rest.size for rest in release.rests] == sizes
    assert release.rests[0].start == start
    assert release.rests[-1].stop == stop
    assert release.progressed


def test_a_document_alone_is_a_failure_on_record() -> None:
    spec = two_collections()
    process = worker(spec)
    release = isolated(process, wanted(spec, 61, 62), 3)
    assert release.rests == ()
    assert release.progressed
    (failure,) = process.ledger.failures(spec.run_id)
    assert failure.document_id == "#11"
    assert failure.namespace == "shop.people"
    assert failure.key == "shop.people:#11"
    assert failure.reason == "every worker that tried it died (3 of 3)"
    assert process.ledger.progress(spec.run_id).acknowledged == 1
    isolate(process, wanted(spec, 49, 50), 3)
    isolate(process, wanted(spec, 50, 51), 3)
    found = {failure.key for failure in process.ledger.failures(spec.run_id)}
    assert found == {"shop.people:#11", "shop.orders:#49", "shop.people:#0"}


def test_a_run_that_stops_at_failures_stops_there() -> None:
    spec = two_collections().model_copy(update={"on_error": OnError.STOP})
    process = worker(spec)
    with pytest.raises(RunFailed) as caught:
        isolate(process, wanted(spec, 3, 4), 3)
    assert caught.value.fact == (
        "document #3 of shop.orders: every worker that tried it died (3 of 3)"
    )
    assert caught.value.remedy == f"See dataworks failures {spec.run_id}"
    assert len(list(process.ledger.failures(spec.run_id))) == 1
    assert process.ledger.progress(spec.run_id).acknowledged == 0


def test_too_many_of_them_stop_the_run() -> None:
    spec = two_collections().model_copy(update={"max_failures": 1})
    process = worker(spec)
    isolate(process, wanted(spec, 3, 4), 3)
    with pytest.raises(RunFailed, match="2 documents"):
        isolate(process, wanted(spec, 4, 5), 3)
