"""What a person sees of a run, in 80 columns, in a pipe, and without color."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import Mock

import fakeredis
import pytest
from rich.console import Console

from dataworks_tasks.ledger.contract import (
    DocumentFailure,
    PlanEnd,
    RangeResult,
    RunState,
    WorkerReport,
)
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.run_flags import RunFlags
from dataworks_tasks.monitor.alerts import Alert
from dataworks_tasks.monitor.standstill import Standstill
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import (
    GenerationJob,
    GenerationPart,
    MigrationJob,
    NamespacePair,
    RunSpec,
    VerificationJob,
)
from dataworks_tasks.settings import FrameworkConfig
from producer.cli.runs import print_runs
from producer.cli.shared.run_outcome import print_next_step, summary
from producer.drive.observation import Observation, QueueDepth
from producer.view import plain_view
from producer.view.follow_figures import FollowFigures, Phase
from producer.view.live_snapshot import AlertWatch, LiveMeter, WorkerProgress
from producer.view.pasteable import pasteable, with_flags
from producer.view.plain_view import PlainView, plain_line
from producer.view.progress import JsonView, TerminalView, create_view
from producer.view.render import bars, details, shortened
from producer.view.run_summary import summarize
from tests.support.json_output import check_object

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _spec(job: Any, run_id: str = "gen-20260101-000000-0000") -> RunSpec:
    return RunSpec(
        run_id=run_id,
        created_at=datetime.now(UTC) - timedelta(seconds=20),
        batch_size=1000,
        target_fingerprint="host:1",
        job=job,
    )


def _generation(*names: str) -> GenerationJob:
    parts = tuple(
        GenerationPart(
            namespace=Namespace("shop", name), position=index, first=index * 1000, count=1000
        )
        for index, name in enumerate(names)
    )
    return GenerationJob(name="shop", seed=1, parts=parts, probe_digest="")


@pytest.fixture
def ledger() -> RedisLedger:
    return RedisLedger(fakeredis.FakeRedis())


def _acknowledge(
    ledger: RedisLedger, spec: RunSpec, done: BatchRange, worker: str = "vm:1"
) -> None:
    counters = {"documents": done.size, "bytes": done.size * 1000, "throttled_requests": 7}
    report = WorkerReport(worker, datetime.now(UTC).timestamp(), done.size, 150_000_000)
    ledger.acknowledge(spec.run_id, done, RangeResult(counters), report)


def _observation(ledger: RedisLedger, spec: RunSpec, **more: Any) -> Observation:
    return Observation(ledger.progress(spec.run_id), QueueDepth(12, 3), **more)


def test_a_narrow_terminal_shows_figures_instead_of_cut_ones(ledger: RedisLedger) -> None:
    spec = _spec(_generation("customers", "orders"))
    ledger.create(spec, 2000)
    _acknowledge(ledger, spec, BatchRange(500, 1500))
    lines = _drawn(ledger, spec, width=40)
    assert max(map(len, lines)) <= 40
    assert lines[0].startswith("generate  50%  1,000 / 2,000")
    assert lines[1] == "  shop.customers  500 / 1,000"
    assert "…" not in "".join(lines)


def test_a_run_whose_workers_ended_does_not_say_that_none_has_reported(
    ledger: RedisLedger,
) -> None:
    spec = _spec(_generation("orders"))
    ledger.create(spec, 1000)
    gone = Standstill("no worker is running", has_workers=False, workers=())
    assert "workers    none has reported yet" in _drawn(ledger, spec, standstill=gone)
    _acknowledge(ledger, spec, BatchRange(0, 500))
    assert any("vm:1" in line for line in _drawn(ledger, spec))
    assert "workers    none has reported lately" in _drawn(ledger, spec, standstill=gone)


def _drawn(ledger: RedisLedger, spec: RunSpec, width: int = 80, **more: Any) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=24)
    with TerminalView(spec, console, ledger) as view:
        view.observe(_observation(ledger, spec, **more))
        return [line.rstrip() for line in _ESCAPE.sub("", out.getvalue()).splitlines()]


def test_a_terminal_of_80_columns_shows_it_all(ledger: RedisLedger) -> None:
    spec = _spec(_generation("customers", "a_collection_with_a_name_too_long_for_the_screen"))
    ledger.create(spec, 2000)
    _acknowledge(ledger, spec, BatchRange(500, 1500))
    standstill = Standstill("the target [/oops] did not answer")
    lines = _drawn(ledger, spec, standstill=standstill)
    assert max(map(len, lines)) <= 80
    assert re.match(r"generate +[━╸╺]+ +50%  1,000 / 2,000$", lines[0])
    assert re.match(r"  shop.customers +[━╸╺]+ +50%    500 / 1,000$", lines[1])
    shown = "\n".join(lines)
    for words in (
        " on average   ",
        "12 waiting   3 in flight",
        "7 requests",
        "failures   0",
        "vm:1  0 docs/s  1,000  150.0 MB",
        "the target [/oops] did not answer",
    ):
        assert words in shown


def test_many_workers_and_collections_stay_on_the_screen(ledger: RedisLedger) -> None:
    spec = _spec(_generation(*(f"collection_{number}" for number in range(30))))
    ledger.create(spec, 30_000)
    for number in range(40):
        chunk = BatchRange(number * 100, number * 100 + 100)
        _acknowledge(ledger, spec, chunk, f"a-long-host-name-in-a-cluster-{number}:1")
    lines = _drawn(ledger, spec)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    shown = [line for line in lines if line.startswith("  shop.collection_")]
    # What is done comes last, in the sum of the others.
    assert [line.split()[0] for line in shown] == [f"shop.collection_{n}" for n in range(4, 13)]
    (rest,) = [line for line in lines if line.startswith("  and 21 more")]
    assert re.search(r" 19% +4,000 / 21,000$", rest)
    assert "and 36 more" in "\n".join(lines)


def test_the_bars_that_stay_use_the_lines_of_the_figures(ledger: RedisLedger) -> None:
    spec = _spec(_generation(*(f"collection_{number}" for number in range(16))))
    ledger.create(spec, 16_000)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24)
    with TerminalView(spec, console, ledger) as view:
        view.observe(_observation(ledger, spec, standstill=Standstill("why\n" * 6)))
        during = out.tell()
    drawn = _ESCAPE.sub("", out.getvalue())
    assert "  and 10 more" in drawn
    stay = _ESCAPE.sub("", out.getvalue()[during:]).splitlines()
    assert len({line.split()[0] for line in stay if line.startswith("  shop.")}) == 16


def test_a_run_that_follows_is_not_called_planning_after_its_copy(ledger: RedisLedger) -> None:
    pair = NamespacePair(source=Namespace("a", "orders"), target=Namespace("b", "orders"))
    spec = _spec(MigrationJob(namespaces=(pair,)), "mig-20260101-000000-0000")
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"1"], 300, {"b.orders": 300})
    ledger.acknowledge(spec.run_id, BatchRange(0, 1), RangeResult({"documents": 300}))
    live = LiveMeter(spec, ledger).read(_observation(ledger, spec))
    assert live is not None
    shown = {}
    for phase in (Phase.COPYING, Phase.FOLLOWING):
        out = io.StringIO()
        following = FollowFigures(phase, 0, 10, 0, 0, 0, 0, 5)
        drawn = bars(replace(live, following=following), "migrate", 80, 4)
        Console(file=out, width=80).print(drawn)
        shown[phase] = out.getvalue().splitlines()[0].rstrip()
        now = plain_line(replace(live, following=following))
        assert ("300 of 300+ documents" in now) is (phase is Phase.COPYING)
    assert shown[Phase.COPYING].endswith("300 / 300+  planning")
    assert shown[Phase.FOLLOWING].endswith("300 / 300")


def test_twelve_collections_are_shown_in_24_lines(ledger: RedisLedger) -> None:
    names = [f"collection_{number}" for number in range(12)]
    spec = _spec(_generation(*names))
    ledger.create(spec, 12_000)
    for number in range(2):
        _acknowledge(ledger, spec, BatchRange(number * 100, number * 100 + 100), f"vm:{number}")
    lines = _drawn(ledger, spec)
    assert len(lines) < 24
    assert {f"shop.{name}" for name in names} == {
        line.split()[0] for line in lines if line.startswith("  shop.")
    }


def test_busy_processes_are_shown_before_those_that_were_replaced(ledger: RedisLedger) -> None:
    spec = _spec(_generation("customers"))
    ledger.create(spec, 1000)
    live = LiveMeter(spec, ledger).read(_observation(ledger, spec))
    assert live is not None
    gone = [WorkerProgress(f"gone:{number}", 0.0, 9000, 150_000_000) for number in range(8)]
    busy = WorkerProgress("vm:new", 500.0, 10, 150_000_000)
    out = io.StringIO()
    Console(file=out, width=80).print(details(replace(live, workers=(*gone, busy))))
    [first] = [line for line in out.getvalue().splitlines() if line.startswith("workers")]
    assert "vm:new" in first


def test_a_migration_shows_its_collections(ledger: RedisLedger) -> None:
    pairs = tuple(
        NamespacePair(source=Namespace("a", name), target=Namespace("b", name))
        for name in ("left", "right")
    )
    spec = _spec(MigrationJob(namespaces=pairs), "mig-20260101-000000-0000")
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"1"], 300, {"b.left": 300})
    ledger.append_slices(spec.run_id, PlanEnd(1, b"1"), [b"2"], 600, {"b.left": 600})
    result = RangeResult({"documents": 400, "documents:b.left": 400})
    ledger.acknowledge(spec.run_id, BatchRange(0, 1), result)
    lines = _drawn(ledger, spec)
    assert re.match(r"migrate +[━╸╺]+ +44%  400 / 900\+  planning$", lines[0])
    assert re.match(r"  b\.left +[━╸╺]+ +44%  400 / 900\+$", lines[1])
    assert re.match(r"  b\.right +0$", lines[2])


def test_a_collection_that_grew_is_never_more_than_its_total(ledger: RedisLedger) -> None:
    """A migration that follows its source copies 5,030 documents of planned 5,000."""
    pairs = tuple(
        NamespacePair(source=Namespace("a", name), target=Namespace("b", name))
        for name in ("left", "right")
    )
    spec = _spec(MigrationJob(namespaces=pairs), "mig-20260101-000000-0000")
    ledger.create(spec, None)
    ledger.append_slices(spec.run_id, PlanEnd(), [b"1"], 5000, {"b.left": 5000})
    result = RangeResult({"documents": 5030, "documents:b.left": 5030})
    ledger.acknowledge(spec.run_id, BatchRange(0, 1), result)
    lines = _drawn(ledger, spec)
    assert "100%  5,030 / 5,030+" in lines[0]
    assert "100%  5,030 / 5,030+" in next(line for line in lines if "b.left" in line)
    live = LiveMeter(spec, ledger).read(_observation(ledger, spec))
    assert live is not None
    assert "5,030 of 5,030+ documents" in plain_line(live)
    assert live.metrics.documents_total == 5030
    run = summarize(spec, ledger.progress(spec.run_id))
    assert (run.as_json()["documents_total"], run.share) == (5030, 1.0)
    out = io.StringIO()
    Console(file=out, width=80).print(summary(run))
    assert "5,030 of 5,030 so far, 100%" in out.getvalue()


def test_an_outage_is_shown_over_the_last_figures(ledger: RedisLedger) -> None:
    spec = _spec(_generation("customers"))
    ledger.create(spec, 1000)
    lines = _drawn(ledger, spec, outage="Redis does not answer")
    assert lines[-1] == "Redis does not answer; waiting for it"


def test_a_pipe_gets_lines_without_escapes(ledger: RedisLedger) -> None:
    spec = _spec(_generation("customers"))
    ledger.create(spec, 1000)
    out = io.StringIO()
    console = Console(file=out, width=80)
    with create_view(spec, console, ledger) as view:
        _acknowledge(ledger, spec, BatchRange(0, 500))
        view.observe(_observation(ledger, spec))
        view.observe(_observation(ledger, spec))
        _acknowledge(ledger, spec, BatchRange(500, 1000))
        ledger.change_state(spec.run_id, frozenset({RunState.RUNNING}), RunState.COMPLETE)
        view.observe(_observation(ledger, spec))
    first, last = out.getvalue().splitlines()
    assert first.startswith(f"{spec.run_id} running: 500 of 1,000 documents, ")
    assert first.endswith("1 worker, 7 throttled")
    assert last.startswith(f"{spec.run_id} complete: 1,000 of 1,000 documents, ")


def test_what_a_verification_finds_is_not_called_a_failure(ledger: RedisLedger) -> None:
    of = _generation("customers")
    job = VerificationJob(run_id=_spec(of).run_id, of=of, exclusive=True)
    spec = _spec(of).model_copy(update={"job": job})
    ledger.create(spec, 1000)
    different = DocumentFailure("shop.customers:1", "1", "shop.customers", "differs at v")
    ledger.acknowledge(
        spec.run_id, BatchRange(0, 500), RangeResult({"documents": 499}, [different])
    )
    lines: list[str] = []
    with PlainView(spec, lines.append, ledger) as view:
        view.observe(_observation(ledger, spec))
    assert "1 difference" in lines[0]
    assert "failure" not in lines[0]
    assert any(line.split() == ["differ", "1"] for line in _drawn(ledger, spec))


def test_an_exceeded_limit_is_named_and_reported_once(ledger: RedisLedger) -> None:
    spec = _spec(_generation("customers"))
    ledger.create(spec, 1000)
    _acknowledge(ledger, spec, BatchRange(0, 500))
    alerts: list[Alert] = []
    rules = AlertWatch.of(FrameworkConfig(alert_worker_memory_mb=100)).rules
    watch = AlertWatch(rules, alerts.append)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24)
    with TerminalView(spec, console, ledger, watch) as view:
        view.observe(_observation(ledger, spec))
        view.observe(_observation(ledger, spec))
    assert "alert worker-memory: a worker process took 150 MB, more than 100 MB" in out.getvalue()
    plain: list[str] = []
    with PlainView(spec, plain.append, ledger, watch) as view:
        view.observe(_observation(ledger, spec))
        ledger.change_state(spec.run_id, frozenset({RunState.RUNNING}), RunState.PAUSED)
        view.observe(_observation(ledger, spec))
    raised, *_, ended, _last = plain
    assert raised.startswith(f"alert worker-memory raised: run {spec.run_id}: ")
    assert ended.startswith("alert worker-memory ended: ")
    assert [alert["state"] for alert in alerts] == ["raised", "raised", "ended"]


def test_lines_for_a_log_cost_the_figures_once_a_second(
    ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command looks at its run many times a second, to see its end."""
    spec = _spec(_generation("customers"))
    ledger.create(spec, 1000)
    clock = Mock()
    monkeypatch.setattr(plain_view, "time", clock)
    lines: list[str] = []
    with PlainView(spec, lines.append, ledger) as view:
        read = Mock(wraps=view._meter.read)
        monkeypatch.setattr(view._meter, "read", read)
        for now in (100.0, 100.2, 100.9, 101.0, 104.0, 105.5):
            clock.monotonic.return_value = now
            view.observe(_observation(ledger, spec))
    assert read.call_count == 4
    assert len(lines) == 2


def test_machines_get_an_object_a_moment(ledger: RedisLedger) -> None:
    spec = _spec(_generation("customers"))
    ledger.create(spec, 1000)
    _acknowledge(ledger, spec, BatchRange(0, 500))
    printed: list[Any] = []
    with JsonView(spec, ledger, printed.append) as view:
        view.observe(_observation(ledger, spec))
        for _ in range(2):
            view.observe(Observation(None, None, outage="Redis does not answer"))
        view.observe(_observation(ledger, spec))
        view.observe(Observation(None, None, outage="Redis does not answer"))
    value, outage, again, last = printed
    assert again["run"] == spec.run_id
    assert outage == last == {"message": "Redis does not answer; waiting for it"}
    check_object("message", outage)
    assert (value["run"], value["documents"]) == (spec.run_id, 500)
    assert value["now"]["queue"] == {"waiting": 12, "in_hand": 3}
    assert value["now"]["workers"][0]["name"] == "vm:1"
    assert value["now"]["seconds_left"] is None


def test_an_outage_does_not_read_the_ledger() -> None:
    server = fakeredis.FakeServer()
    ledger = RedisLedger(fakeredis.FakeRedis(server=server))
    spec = _spec(_generation("customers", "orders"))
    ledger.create(spec, 2000)
    observation = _observation(ledger, spec, outage="Redis does not answer")
    server.connected = False
    live = LiveMeter(spec, ledger).read(observation)
    assert live is not None
    assert live.run.documents == 0


@pytest.mark.parametrize("width", [80, 140])
def test_runs_fit_the_terminal(
    ledger: RedisLedger, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = _spec(_generation("a" * 70))
    ledger.create(spec, 1000)
    run = summarize(spec, ledger.progress(spec.run_id))
    print_runs(Console(width=width), [run, run])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == (5 if width == 80 else 3)
    assert sum(spec.run_id in line for line in lines) == 2
    assert sum("shop -> shop.aaa" in line for line in lines) == 2


def test_names_are_cut_in_the_middle() -> None:
    assert shortened("short", 9) == "short"
    assert shortened("a-very-long-name:77", 9) == "a-ve…e:77"


def test_a_command_that_grew_is_below_the_table(ledger: RedisLedger) -> None:
    """A cell would cut it into lines that cannot be pasted."""
    spec = _spec(_generation("customers"))
    ledger.create(spec, 1000)
    cause = "no worker is running; start one: dataworks worker"
    run = summarize(spec, ledger.progress(spec.run_id), cause=cause)
    typed = RunFlags(broker="redis://a.long.host.name.example.com/0", target="mongodb://t/")
    for flags in (RunFlags(), typed, RunFlags(secret=("target",))):
        out = io.StringIO()
        console = Console(file=out, width=60)
        console.print(summary(run, partial(_completed, flags)))
        print_next_step(console, run, flags)
        lines = out.getvalue().splitlines()
        assert ("cause" in lines[1]) == (not flags), lines
        assert (with_flags(cause, flags) in lines) == bool(flags), "on one line of its own"
        assert ("First set the address" in out.getvalue()) == bool(flags.secret)


def _completed(typed: RunFlags, text: str, of_run: RunFlags) -> str:
    return pasteable(text, typed, of_run)
