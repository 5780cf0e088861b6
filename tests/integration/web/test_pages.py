"""The pages and the API show what is in the ledger."""

from __future__ import annotations

import json
import re
import statistics
import time
from datetime import UTC, datetime

import pytest
from redis import Redis

from dataworks_tasks.ledger.contract import (
    WORKING,
    DocumentFailure,
    RangeResult,
    RunState,
    WorkerReport,
)
from dataworks_tasks.ledger.keys import WORKERS, RunKeys
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.redis_server import RedisMemory
from dataworks_tasks.ledger.worker_registry import LivingWorker
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import (
    FORMAT_VERSION,
    GenerationJob,
    GenerationPart,
    MigrationJob,
    NamespacePair,
    RunSpec,
    VerificationJob,
)
from tests.integration.web.conftest import Serve

HOSTILE = "<script>alert(1)</script>"


def record_run(ledger: RedisLedger, number: int = 0, collection: str = "orders") -> str:
    """Return a generation run of 1,000 documents."""
    part = GenerationPart(namespace=Namespace("shop", collection), position=0, first=0, count=1000)
    spec = RunSpec(
        run_id=f"gen-20261126-1200{number:04}",
        created_at=datetime.now(UTC),
        batch_size=100,
        target_fingerprint="db:27017",
        job=GenerationJob(name="orders", seed=7, parts=(part,), probe_digest="-"),
    )
    ledger.create(spec, 1000)
    return spec.run_id


def acknowledge(ledger: RedisLedger, run_id: str, start: int, stop: int) -> None:
    report = WorkerReport("host:1", time.time(), stop - start, 100_000_000)
    result = RangeResult({"documents": stop - start, "bytes": 10 * (stop - start)})
    ledger.acknowledge(run_id, BatchRange(start, stop), result, report)


def test_a_run_is_shown_as_the_ledger_has_it(ledger: RedisLedger, serve_pages: Serve) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 250)
    visitor = serve_pages()
    assert run_id in visitor.ask("/").text
    page = visitor.ask(f"/runs/{run_id}")
    assert "250 of 1,000" in page.text
    assert f"dataworks status {run_id} --watch" in page.text
    found = visitor.ask(f"/api/runs/{run_id}").json
    assert (found["version"], found["run"], found["documents"]) == (1, run_id, 250)
    (strip,) = found["map"]
    assert strip["done"] == 0.25
    assert strip["cells"] == ["done"] * 25 + ["missing"] * 75
    assert visitor.ask("/api/workers").json["workers"][0]["name"] == "host:1"


def test_workers_that_ended_or_were_replaced_are_not_called_working(
    ledger: RedisLedger, serve_pages: Serve
) -> None:
    visitor = serve_pages()
    assert "No worker is running. Start one:" in visitor.ask("/workers").text
    ledger.workers.enter(LivingWorker("fleet", "celery@a", ("dataworks",), "prefork", 1, 0.0, "1"))
    assert "1 worker is running. None has reported" in visitor.ask("/workers").text
    run_id = record_run(ledger)
    ledger.windows.open(run_id, "dataworks", 100, 2)
    ages = {"fleet:1": 20, "fleet:2": 10, "ended:3": 5}
    for number, (name, age) in enumerate(ages.items()):
        report = WorkerReport(name, time.time() - age, 10, 100_000_000)
        ledger.acknowledge(
            run_id, BatchRange(10 * number, 10 * number + 10), RangeResult({}), report
        )
    own = record_run(ledger, 1, "own")
    acknowledge(ledger, own, 0, 10)  # by a command that does its work itself
    found = visitor.ask("/api/workers").json
    assert found["workers_alive"] == 1
    assert {one["name"]: (one["state"], one["alive"]) for one in found["workers"]} == {
        "fleet:1": ("ended", False),
        "fleet:2": ("working", True),
        "ended:3": ("ended", False),
        "host:1": ("working", True),
    }
    page = visitor.ask("/workers").text
    assert page.count(">ended<") == page.count(">working<") == 2
    live = visitor.ask(f"/api/runs/{run_id}").json
    assert [one["name"] for one in live["now"]["workers"]] == ["fleet:2"]
    ledger.workers.leave("fleet")
    other = serve_pages()
    assert other.ask(f"/api/runs/{run_id}").json["now"]["workers"] == []
    assert "no worker is running" in other.ask(f"/runs/{run_id}").text


def test_nobody_is_called_ended_while_redis_has_no_room(
    ledger: RedisLedger,
    redis_client: Redis,
    serve_pages: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = LivingWorker("fleet", "celery@a", ("dataworks",), "prefork", 1, 0.0, "1")
    ledger.workers.enter(worker)
    entry = json.loads(redis_client.hgetall(WORKERS)[b"fleet"])
    redis_client.hset(WORKERS, "fleet", json.dumps({**entry, "at": entry["at"] - 100}))
    run_id = record_run(ledger)
    report = WorkerReport("fleet:1", time.time() - 100, 10, 100_000_000)
    ledger.acknowledge(run_id, BatchRange(0, 10), RangeResult({}), report)
    visitor = serve_pages()
    assert "No worker is running" in visitor.ask("/workers").text
    full = RedisMemory(cannot_write=True, folder="/data")
    monkeypatch.setattr(RedisLedger, "memory", lambda _ledger: full)
    page = visitor.ask("/workers").text
    assert "Redis cannot write to the disk of /data and stores nothing; free space there." in page
    assert "1 worker is running" in page
    assert ">idle<" in page


def test_the_strip_shows_what_is_in_hand_failed_and_partly_done(
    ledger: RedisLedger, serve_pages: Serve
) -> None:
    run_id = record_run(ledger)
    ledger.windows.open(run_id, "dataworks", 100, 2)
    ledger.windows.refill(run_id)
    ledger.windows.take(run_id, BatchRange(100, 200), "host:1", 60)
    acknowledge(ledger, run_id, 500, 505)
    failure = DocumentFailure("k", "1", "shop.orders", "too large")
    ledger.acknowledge(run_id, BatchRange(900, 1000), RangeResult({}, (failure,)))
    (strip,) = serve_pages().ask(f"/api/runs/{run_id}").json["map"]
    cells = strip["cells"]
    assert cells[10:20] == ["working"] * 10
    assert cells[50] == "part"
    assert cells[90:] == ["failed"] * 10


def test_a_hostile_name_is_text(ledger: RedisLedger, serve_pages: Serve) -> None:
    run_id = record_run(ledger, collection=HOSTILE)
    failure = DocumentFailure("k", HOSTILE, HOSTILE, HOSTILE)
    ledger.acknowledge(run_id, BatchRange(0, 10), RangeResult({}, (failure,)))
    ledger.change_state(run_id, WORKING, RunState.FAILED, HOSTILE)
    visitor = serve_pages()
    for path in ("/", f"/runs/{run_id}", f"/runs/{run_id}/report"):
        answer = visitor.ask(path)
        assert answer.status == 200
        assert HOSTILE not in answer.text
        assert "&lt;script&gt;" in answer.text


def test_a_name_cannot_turn_the_text_around_it_around(
    ledger: RedisLedger, serve_pages: Serve
) -> None:
    run_id = record_run(ledger, collection="\u202emoc.live")
    visitor = serve_pages()
    for path in ("/", f"/runs/{run_id}", f"/runs/{run_id}/report"):
        seen = re.sub("<svg.*?</svg>", "", visitor.ask(path).text, flags=re.DOTALL)
        assert "\u202e" not in seen
        assert "\\u202emoc.live" in seen


def test_keys_can_be_hidden(ledger: RedisLedger, serve_pages: Serve) -> None:
    run_id = record_run(ledger)
    reason = 'E11000 duplicate key error dup key: { email: "anna@example.com" }'
    failure = DocumentFailure("4711", '{"$oid": "4711"}', "shop.orders", reason, b"4711".hex())
    ledger.acknowledge(run_id, BatchRange(0, 10), RangeResult({}, (failure,)))
    ledger.note_error(run_id, "document 4711 of shop.orders was refused: E11000 dup key")
    shown, hidden = serve_pages(), serve_pages(hide_keys=True)
    paths = ["/api/runs", f"/runs/{run_id}", f"/api/runs/{run_id}", f"/api/runs/{run_id}/failures"]
    for path in (*paths, f"/runs/{run_id}/report"):
        assert "4711" in shown.ask(path).text, path
        answer = hidden.ask(path).text
        assert "E11000" in answer
        assert "4711" not in answer, path
        assert b"4711".hex() not in answer, path
        assert "anna" not in answer, path


def test_a_filter_and_differences_are_hidden_with_the_keys(
    ledger: RedisLedger, serve_pages: Serve
) -> None:
    pair = NamespacePair(source=Namespace("shop", "orders"), target=Namespace("shop", "copy"))
    job = MigrationJob(namespaces=(pair,), filter='{"email": "anna@example.com"}')
    run_id, verification = "mig-20261126-120000-0001", "ver-20261126-120000-0002"
    reason = 'differs at amount: source 815815, target "hannelore"'
    failure = DocumentFailure("4711", "4711", "shop.copy", reason)
    jobs = {run_id: job, verification: VerificationJob(run_id=run_id, of=job, exclusive=True)}
    for number, found in jobs.items():
        spec = RunSpec(
            run_id=number,
            created_at=datetime.now(UTC),
            batch_size=100,
            source_fingerprint="db:1",
            target_fingerprint="db:2",
            job=found,
        )
        ledger.create(spec, None)
        ledger.record_failures(number, [failure])
    ledger.change_state(verification, WORKING, RunState.DIFFERENT)
    shown, hidden = serve_pages(), serve_pages(hide_keys=True)
    for path in (f"/runs/{run_id}", f"/runs/{run_id}/report", f"/runs/{verification}"):
        assert "4711" in shown.ask(path).text, path
        answer = hidden.ask(path).text
        for secret in ("anna", "815815", "hannelore", "4711"):
            assert secret not in answer, (path, secret)


def test_failures_are_read_page_by_page(ledger: RedisLedger, serve_pages: Serve) -> None:
    run_id = record_run(ledger)
    failures = tuple(DocumentFailure(str(n), str(n), "a.b", "too large") for n in range(3000))
    ledger.record_failures(run_id, failures)
    visitor, after, found = serve_pages(), 0, set()
    while after is not None:
        page = visitor.ask(f"/api/runs/{run_id}/failures?after={after}").json
        found |= {failure["key"] for failure in page["failures"]}
        after = page["after"]
    assert len(found) == 3000


def test_runs_are_filtered_and_paged(ledger: RedisLedger, serve_pages: Serve) -> None:
    ids = [record_run(ledger, number) for number in range(60)]
    ledger.change_state(ids[3], WORKING, RunState.PAUSED)
    visitor = serve_pages()
    first = visitor.ask("/api/runs").json
    assert (len(first["runs"]), first["total"], first["following"]) == (50, 60, 50)
    assert 'href="/?first=50">Older runs' in visitor.ask("/").text
    rest = visitor.ask("/api/runs?first=50").json
    assert {run["run"] for run in (*first["runs"], *rest["runs"])} == set(ids)
    paused = visitor.ask("/api/runs?state=paused").json
    assert [run["run"] for run in paused["runs"]] == [ids[3]]
    assert visitor.ask("/api/runs?kind=migration").json["total"] == 0
    assert visitor.ask("/api/runs?state=odd").status == 400


def test_runs_of_a_newer_version_are_listed_with_the_reason(
    ledger: RedisLedger, redis_client: Redis, serve_pages: Serve
) -> None:
    known, newer = record_run(ledger, 1), record_run(ledger, 2)
    spec = json.loads(ledger.spec(newer).to_json())
    redis_client.set(RunKeys(newer).spec, json.dumps({**spec, "format": FORMAT_VERSION + 1}))
    visitor = serve_pages()
    found = visitor.ask("/api/runs").json
    assert [run["run"] for run in found["runs"]] == [known]
    assert [run["run"] for run in found["unreadable"]] == [newer]
    assert "pip install -U dataworks" in found["unreadable"][0]["reason"]
    page = visitor.ask("/").text
    assert f"format {FORMAT_VERSION + 1}" in page[page.index(newer) :]
    ledger.forget(known)
    assert "There is no run to show" not in visitor.ask("/").text
    assert visitor.ask(f"/runs/{newer}").status == 409


def test_a_thousand_runs_are_shown_quickly(ledger: RedisLedger, serve_pages: Serve) -> None:
    for number in range(1000):
        record_run(ledger, number)
    visitor = serve_pages()
    visitor.ask("/")
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        assert visitor.ask("/").status == 200
        seconds.append(time.perf_counter() - began)
    # 0.03 s on a quiet machine: the bound finds a page that reads every run, not a slow machine.
    assert statistics.median(seconds) < 1.0


def test_events_are_sent_until_the_run_ends(ledger: RedisLedger, serve_pages: Serve) -> None:
    run_id = record_run(ledger)
    acknowledge(ledger, run_id, 0, 1000)
    ledger.change_state(run_id, WORKING, RunState.COMPLETE)
    answer = serve_pages().ask(f"/api/events?run={run_id}")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.text.startswith("data: {")
    assert '"state": "complete"' in answer.text


def test_what_is_not_there_is_said(serve_pages: Serve) -> None:
    visitor = serve_pages()
    assert visitor.ask("/runs/gen-unknown").status == 404
    assert visitor.ask("/api/runs/gen-unknown").json["status"] == 404
    assert visitor.ask("/nothing").status == 404
    assert "There is no run to show" in visitor.ask("/").text
