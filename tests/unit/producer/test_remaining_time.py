"""The time left of a run, compared with what it then took: in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from dataworks_tasks.ledger.contract import RunProgress, RunState
from dataworks_tasks.ledger.history import HistorySample
from dataworks_tasks.ledger.index_speeds import IndexSpeed
from dataworks_tasks.runs.index_build import IndexBuild
from dataworks_tasks.runs.index_cost import build_seconds
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import IndexEntries, MigrationJob, NamespacePair, RunSpec
from producer.view.remaining_time import RemainingTime
from producer.view.time_left import TimeLeft

START = datetime(2026, 11, 26, tzinfo=UTC)
RATE = 10_000
KEYS_A_SECOND = 1 / (1.2 * build_seconds(1, 500, [IndexEntries(name="i")]))
"""A server that is as fast as one is expected to be on which no build was seen."""
Speed = Callable[[float], float]


def _steady(_second: float) -> float:
    return RATE


def _slow_start(second: float) -> float:
    """Workers that import for 8 s, and then come one after the other for half a minute."""
    return RATE * min(1.0, max(0.0, second - 8) / 30)


def _noisy(second: float) -> float:
    return RATE * random.Random(second).uniform(0.5, 1.5)


def _lumps(second: float) -> float:
    """Large ranges: everything that 15 seconds make arrives at once."""
    return RATE * 15 if second % 15 == 14 else 0.0


@dataclass(frozen=True)
class Course:
    """A migration as it goes in truth: ``speed`` by the second, then its index builds."""

    speed: Speed
    documents: int = 6_000_000
    indexes: tuple[int, ...] = (3, 2)
    keys_a_second: float = KEYS_A_SECOND

    @property
    def spec(self) -> RunSpec:
        pairs = tuple(
            NamespacePair(
                source=Namespace("a", f"c{number}"),
                target=Namespace("b", f"c{number}"),
                indexes=count,
            )
            for number, count in enumerate(self.indexes)
        )
        return RunSpec(
            run_id="mig-20261126-000000-0000",
            created_at=START,
            batch_size=1000,
            target_fingerprint="x",
            job=MigrationJob(namespaces=pairs),
        )

    def observations(self) -> Iterator[tuple[int, RunProgress]]:
        """Yield what an observer sees each second, until the run is complete."""
        done, second = 0, 0
        share = self.documents // len(self.indexes)
        running = RunProgress(
            run_id="mig-20261126-000000-0000",
            state=RunState.RUNNING,
            total=self.documents,
            planned=self.documents,
            acknowledged=0,
            gaps=1,
            counters={},
            failures=0,
            created_at=START,
            finished_at=None,
            last_acknowledged_at=START,
            last_error=None,
            documents_expected=self.documents,
            collections_expected={f"b.c{number}": share for number in range(len(self.indexes))},
        )
        while done < self.documents:
            done = min(self.documents, done + int(self.speed(second)))
            second += 1
            at = START + timedelta(seconds=second)
            counters = {"documents": done, "bytes": done * 500}
            running = replace(
                running, acknowledged=done, counters=counters, last_acknowledged_at=at
            )
            yield second, running
        left = sum(count * share for count in self.indexes)
        built = 0.0
        while built < left:
            yield second, replace(running, finishing=self._line(built, share))
            built += self.keys_a_second
            second += 1

    def _line(self, built: float, share: int) -> str:
        for number, count in enumerate(self.indexes):
            if built < count * share:
                index, part = divmod(built, share)
                percent = int(100 * part / share)
                return str(IndexBuild("i", f"b.c{number}", int(index) + 1, count, percent))
            built -= count * share
        raise AssertionError("nothing is left to build")


COURSES = {
    "steady": Course(_steady),
    "slow start": Course(_slow_start),
    "noisy": Course(_noisy),
    "lumps": Course(_lumps),
    "no index": Course(_steady, indexes=(0, 0)),
    "indexes a quarter slower": Course(_steady, keys_a_second=KEYS_A_SECOND * 0.8),
    "indexes a quarter faster": Course(_noisy, keys_a_second=KEYS_A_SECOND * 1.2),
    "many indexes": Course(_steady, documents=12_000_000, indexes=(8, 1, 5)),
    "one large": Course(_slow_start, documents=36_000_000, indexes=(2,)),
}


@pytest.mark.parametrize("course", COURSES.values(), ids=COURSES.keys())
def test_it_is_within_a_quarter_of_the_truth_from_the_second_minute_on(course: Course) -> None:
    remaining = RemainingTime(course.spec)
    said: list[tuple[int, float | None]] = []
    for second, progress in course.observations():
        left = remaining.observe(progress, START + timedelta(seconds=second))
        said.append((second, left.seconds if left else None))
    end = said[-1][0] + 1
    wrong = [
        (second, left, end - second)
        for second, left in said
        # Of the last seconds, a second of difference is more than a quarter.
        if second >= 60 and end - second > 8
        if left is None or abs(left - (end - second)) > 0.25 * (end - second)
    ]
    assert end > 500
    assert wrong == []


@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_server_that_builds_indexes_at_another_speed(factor: float) -> None:
    """Nobody can know it before a build: until then the copy has to be most of what is left."""
    course = Course(_steady, indexes=(2, 2), keys_a_second=KEYS_A_SECOND * factor)
    remaining = RemainingTime(course.spec)
    seen = list(course.observations())
    end = seen[-1][0] + 1
    builds = course.documents * 2 / course.keys_a_second
    for second, progress in seen:
        left = remaining.observe(progress, START + timedelta(seconds=second))
        is_seen = end - second < 0.9 * builds
        if second >= 60 and end - second > 8 and (is_seen or second < 300):
            assert left is not None
            assert abs(left.seconds - (end - second)) <= 0.25 * (end - second), second


@pytest.mark.parametrize("factor", [0.25, 1, 4])
def test_a_target_on_which_builds_were_seen_before(factor: float) -> None:
    """Then the builds of a run are known while it copies."""
    course = Course(_steady, indexes=(2, 2), keys_a_second=KEYS_A_SECOND * 1.2 / factor)
    remaining = RemainingTime(course.spec, read_speed=lambda: IndexSpeed(*(factor,) * 3))
    seen = list(course.observations())
    end = seen[-1][0] + 1
    for second, progress in seen:
        left = remaining.observe(progress, START + timedelta(seconds=second))
        if second >= 60 and end - second > 8:
            assert left is not None
            assert left.is_known
            assert abs(left.seconds - (end - second)) <= 0.25 * (end - second), second


@pytest.mark.parametrize("factor", [0.75, 1, 3])
def test_a_speed_that_nobody_has_seen_is_shown_as_a_range(factor: float) -> None:
    course = Course(_steady, indexes=(8, 8), keys_a_second=KEYS_A_SECOND * 1.2 / factor)
    remaining = RemainingTime(course.spec)
    seen = list(course.observations())
    end = seen[-1][0] + 1
    for second, progress in seen[:500]:
        left = remaining.observe(progress, START + timedelta(seconds=second))
        if second < 60:
            continue
        assert left is not None
        assert left.between is not None
        least, most = left.between
        assert least - 5 <= end - second <= most + 5, second
    assert " to " in str(left)
    second, progress = seen[-60]
    left = remaining.observe(progress, START + timedelta(seconds=second))
    assert left is not None
    assert left.is_known, "this run's own builds say it"


def test_a_few_seconds_are_one_figure() -> None:
    assert str(TimeLeft(2, 1, 4)) == "0:02"
    assert str(TimeLeft(120, 110, 140)) == "2:00"
    assert str(TimeLeft(20, 15, 40)) == "0:15 to 0:40"


def test_a_pause_in_the_middle_of_a_build_is_not_part_of_its_speed() -> None:
    course = Course(_steady, indexes=(2, 2))
    at, progress = list(course.observations())[-20]
    resumed = START + timedelta(seconds=at + 36_000)
    left = RemainingTime(course.spec).observe(progress, resumed)
    assert left is not None
    assert left.most < 120


def test_after_the_builds_nobody_knows() -> None:
    """What is compared then takes its own time."""
    course = Course(_steady)
    _, progress = list(course.observations())[-1]
    after = replace(progress, finishing="counting documents of a.c0")
    assert RemainingTime(course.spec).observe(after, START + timedelta(seconds=900)) is None


def test_it_starts_sane() -> None:
    """No estimate from the time in which the workers started; the first ones are not far off."""
    course = COURSES["slow start"]
    remaining = RemainingTime(course.spec)
    truth = dict(course.observations())
    end = max(truth)
    for second, progress in truth.items():
        left = remaining.observe(progress, START + timedelta(seconds=second))
        if second < 11:
            assert left is None
        if second == 45:
            assert left is not None
            assert left.seconds < 2.2 * (end - second)


def _with_an_outage(second: float) -> float:
    return 0.0 if 200 <= second < 400 else RATE


def test_nobody_knows_while_a_run_stands_still() -> None:
    """And three seconds after documents arrive again, it is known as well as before."""
    course = Course(_with_an_outage, indexes=(0, 0))
    remaining = RemainingTime(course.spec)
    shown = {
        second: remaining.observe(progress, START + timedelta(seconds=second))
        for second, progress in course.observations()
    }
    unknown = [second for second, left in shown.items() if left is None]
    end = max(shown)
    assert unknown == [*range(1, 5), *range(213, 404), end]
    for second in (199, 404, 420, 700):
        found = shown[second]
        assert found is not None
        assert abs(found.seconds - (end - second - (200 if second < 200 else 0))) < 5


def test_one_look_at_a_run_uses_its_history() -> None:
    course = COURSES["indexes a quarter slower"]
    seen = list(course.observations())
    end = seen[-1][0] + 1
    for at in (120, 300, 500, 615, end - 15):
        second, progress = seen[at]
        history = [
            HistorySample((START + timedelta(seconds=s)).timestamp(), p.counters["documents"], 0, 0)
            for s, p in seen[:at:10]
        ]
        left = RemainingTime(course.spec, history).observe(
            progress, START + timedelta(seconds=second)
        )
        assert left is not None
        assert abs(left.seconds - (end - second)) < 0.25 * (end - second), at


def test_one_look_at_a_run_that_has_stood_still_since_its_start() -> None:
    course = COURSES["no index"]
    seen = dict(course.observations())
    history = [
        HistorySample(
            (START + timedelta(seconds=s)).timestamp(), seen[s].counters["documents"], 0, 0
        )
        for s in (1, 11)
    ]
    for second, known in ((20, True), (60, False)):
        remaining = RemainingTime(course.spec, history)
        left = remaining.observe(seen[20], START + timedelta(seconds=second))
        assert (left is not None) is known


def test_what_cannot_be_known_is_not_said() -> None:
    course = COURSES["steady"]
    _, progress = next(course.observations())
    at = START + timedelta(seconds=5)
    assert RemainingTime(course.spec).observe(progress, at) is None
    assert RemainingTime(course.spec).observe(replace(progress, total=None), at) is None
    for state in (RunState.PAUSED, RunState.FAILED, RunState.COMPLETE):
        assert RemainingTime(course.spec).observe(replace(progress, state=state), at) is None


def test_a_build_of_an_empty_collection_takes_no_time() -> None:
    course = Course(_steady, documents=0, indexes=(1,))
    progress = replace(
        next(COURSES["steady"].observations())[1],
        total=0,
        documents_expected=0,
        collections_expected={"b.c0": 0},
        finishing=str(IndexBuild("i", "b.c0")),
    )
    assert RemainingTime(course.spec).observe(progress, START) is None


@pytest.mark.parametrize(
    "build",
    [
        IndexBuild("a_1", "shop.orders"),
        IndexBuild("a_1, b_1", "shop.orders", 2, 5),
        IndexBuild("a of b_1", "shop.two of three", 2, 5, 40),
        IndexBuild("a_1", "shop.orders", percent=7),
    ],
)
def test_the_line_of_a_build_can_be_read(build: IndexBuild) -> None:
    read = IndexBuild.parse(str(build))
    assert read is not None
    assert str(read) == str(build)
    assert read.share == build.share


def test_the_line_of_an_older_worker_can_be_read() -> None:
    read = IndexBuild.parse("building a_1 of shop.orders: 7 %")
    assert read == IndexBuild("a_1", "shop.orders", percent=7)


def test_another_line_is_not_a_build() -> None:
    assert IndexBuild.parse("counting documents") is None
