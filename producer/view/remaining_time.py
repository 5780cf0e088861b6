"""How long a run still takes: its documents at the rate of the last minute, then its indexes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple, Self

from dataworks_tasks.ledger.contract import WORKING, Ledger, RunProgress
from dataworks_tasks.ledger.history import HistorySample
from dataworks_tasks.ledger.index_speeds import IndexSpeed
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.runs.index_build import IndexBuild
from dataworks_tasks.runs.index_cost import build_seconds
from dataworks_tasks.runs.spec import (
    GenerationJob,
    IndexEntries,
    MigrationJob,
    NamespacePair,
    RunKind,
    RunSpec,
)
from producer.view.time_left import TimeLeft

_WINDOW_SECONDS = 30.0
_LEAST_ARRIVALS = 4
"""The window is longer if large ranges arrive in lumps."""
_FIRST_SECONDS = 3.0
"""Before this much time with documents, any rate is a guess."""
_STALL_SECONDS = 10.0
_SEEN_SHARE = 0.05
"""From this share on, the builds of this run show how fast builds are."""
_UNSEEN = IndexSpeed(0.75, 1.2, 4.0)
"""Multiples of ``index_cost``'s time for a target without builds: least, likely, busy server."""
_ODD = 30.0
"""A run was stopped meanwhile if its builds seem this much slower than the target's speed."""
_STEADY_SHARE, _STEADY_SECONDS = 0.03, 5.0
"""This much of the builds has to be observed before their own speed is used."""


class _Build(NamedTuple):
    """Index builds of one collection that are still to come, each with its expected seconds.

    Each index of a migration has its own build; those of a generation share one.
    """

    namespace: str
    seconds: tuple[float, ...]

    @property
    def total(self) -> float:
        return sum(self.seconds)


class RemainingTime:
    """Estimates from the observations of one run, given in order."""

    def __init__(
        self,
        spec: RunSpec,
        history: Iterable[HistorySample] = (),
        read_speed: Callable[[], IndexSpeed | None] = lambda: None,
    ) -> None:
        """Use the ledger's data about the time before the first observation.

        ``history``: that of the run; ``read_speed``: reads the speed of index builds on its target.
        """
        self._spec = spec
        self._read_speed = read_speed
        self._samples: deque[tuple[float, int]] = deque()
        self._began = False
        self._looked = False
        self._watched: tuple[float, float] | None = None
        for sample in history:
            self._add(sample.at, sample.documents)

    @classmethod
    def of(cls, ledger: Ledger, spec: RunSpec) -> Self:
        """Return an estimate that continues from the ledger's data about the run and its target."""

        def read_speed() -> IndexSpeed | None:
            return ledger.index_speeds.read(spec.target_fingerprint)

        return cls(spec, ledger.history.read(spec.run_id), read_speed)

    def observe(self, progress: RunProgress, now: datetime | None = None) -> TimeLeft | None:
        """Take note of ``progress`` and return the time left; None while unknown."""
        at = (now or datetime.now(UTC)).timestamp()
        done = progress.counters.get(RunCounter.DOCUMENTS, 0) + progress.failures
        if progress.state not in WORKING:
            return None
        self._add(self._arrived(progress, at), done)
        total = progress.documents_expected or 0
        if progress.total is None:
            return None
        builds = list(_builds(self._spec, progress))
        if progress.acknowledged >= progress.total:
            return self._indexes_left(builds, progress, at)
        rate, waited = self._rate(at)
        if rate <= 0:
            return None
        copying = max(0.0, max(0, total - done) / rate - waited)
        return self._with_speed(sum(build.total for build in builds), copying)

    def _arrived(self, progress: RunProgress, at: float) -> float:
        """Return when the newest documents arrived: at the first look, that may be long ago."""
        first_look, self._looked = not self._looked, True
        if first_look and progress.last_acknowledged_at is not None:
            return min(at, progress.last_acknowledged_at.timestamp())
        return at

    def _add(self, at: float, documents: int) -> None:
        """Remember the moments at which documents arrived."""
        samples = self._samples
        if samples and (at <= samples[-1][0] or documents <= samples[-1][1]):
            if not self._began:
                samples[-1] = (at, documents)
            return
        if samples and not self._began:
            # The start takes time without documents, and the first ones to arrive were made
            # earlier.
            self._began = True
            samples.clear()
        if self._stands_still(at):
            samples.clear()  # the time without documents says nothing about the rate after it
        samples.append((at, documents))
        while len(samples) > _LEAST_ARRIVALS and at - samples[1][0] >= _WINDOW_SECONDS:
            samples.popleft()

    def _rate(self, now: float) -> tuple[float, float]:
        """Return documents per second, and the seconds since the last ones arrived.

        The rate is 0 before any can be known, and while the run stands still.
        """
        if len(self._samples) < 2:
            return 0.0, 0.0
        (then, before), (last, done) = self._samples[0], self._samples[-1]
        waited = max(0.0, now - last)
        if self._stands_still(now) or last - then < _FIRST_SECONDS:
            return 0.0, 0.0
        return (done - before) / (last - then), waited

    def _stands_still(self, now: float) -> bool:
        """Return whether documents have not arrived for far longer than between the last ones."""
        pauses = [b[0] - a[0] for a, b in pairwise(self._samples)]
        if not pauses:
            return False
        return now - self._samples[-1][0] > 2 * max(pauses) + _STALL_SECONDS

    def _with_speed(self, building: float, before: float = 0.0) -> TimeLeft:
        """Return the time of builds with this expected time, by what is known about the target."""
        least, likely, most = (self._read_speed() if building else None) or _UNSEEN
        return TimeLeft(
            before + likely * building, before + least * building, before + most * building
        )

    def _indexes_left(
        self, builds: Sequence[_Build], progress: RunProgress, at: float
    ) -> TimeLeft | None:
        """Return the time of the remaining index builds after every document is written."""
        expected = sum(build.total for build in builds)
        shown = progress.finishing or ""
        running = IndexBuild.parse(shown)
        if not expected or (shown and running is None):
            return None  # there are no builds, or the run is after them
        if running is None:
            return self._with_speed(expected)
        done = _done_seconds(builds, running)
        speed = self._speed_of_this_run(done, expected, progress, at)
        left = expected - done
        return self._with_speed(left) if speed is None else TimeLeft(*(speed * left,) * 3)

    def _speed_of_this_run(
        self, done: float, expected: float, progress: RunProgress, at: float
    ) -> float | None:
        """Return how fast its builds are, or None before enough of them was observed."""
        if self._watched is None:
            self._watched = (at, done)
        since, had_done = self._watched
        if at - since >= _STEADY_SECONDS and done - had_done >= _STEADY_SHARE * expected:
            return (at - since) / (done - had_done)
        began = progress.last_acknowledged_at
        if began is None or done < _SEEN_SHARE * expected:
            return None
        speed = (at - began.timestamp()) / done
        return None if speed > _ODD * (self._read_speed() or _UNSEEN).likely else speed


def _done_seconds(builds: Iterable[_Build], running: IndexBuild) -> float:
    """Return the expected seconds of the builds before ``running``, and of its own share."""
    done = 0.0
    for build in builds:
        if build.namespace != running.namespace:
            done += build.total
            continue
        if running.of == len(build.seconds):
            before = running.number - 1
            return done + sum(build.seconds[:before]) + running.share * build.seconds[before]
        passes = running.number - 1 + running.share
        return done + build.total * min(1.0, passes / running.of)
    return 0.0


def _builds(spec: RunSpec, progress: RunProgress) -> Iterator[_Build]:
    """Return every index build that comes after the run's documents, in the workers' order."""
    documents = progress.counters.get(RunCounter.DOCUMENTS, 0)
    size = progress.counters.get(RunCounter.BYTES, 0) / documents if documents else 0.0
    if spec.kind is RunKind.MIGRATION and isinstance(spec.job, MigrationJob):
        for pair in spec.job.namespaces:
            name = str(pair.target)
            count = progress.collections_expected.get(name, 0)
            each = (build_seconds(count, size, [index]) for index in _entries_of(pair))
            yield _Build(name, tuple(each))
    if spec.kind is RunKind.GENERATION and isinstance(spec.job, GenerationJob):
        for part in spec.job.parts:
            if part.indexes:
                seconds = build_seconds(part.count, size, part.indexes)
                yield _Build(str(part.namespace), (seconds,))


def _entries_of(pair: NamespacePair) -> Sequence[IndexEntries]:
    """Return the indexes; a run that an older version recorded has only their number."""
    return pair.index_entries or [IndexEntries(name="")] * pair.indexes
