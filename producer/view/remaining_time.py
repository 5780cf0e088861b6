"""How long a run still takes: its documents at the rate of the last minute, then its indexes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from dataworks_tasks.ledger.contract import WORKING, RunProgress
from dataworks_tasks.ledger.history import HistorySample
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.runs.index_build import IndexBuild
from dataworks_tasks.runs.spec import GenerationJob, MigrationJob, RunKind, RunSpec

_WINDOW_SECONDS = 30.0
_LEAST_ARRIVALS = 4
"""The window is longer where large ranges arrive in lumps."""
_FIRST_SECONDS = 3.0
"""Before that much was seen of a run's documents, any rate is a guess."""
_STALL_SECONDS = 10.0
_SECONDS_PER_KEY = 1 / 300_000
"""Of an index build before one was seen."""
_BYTES_PER_SECOND = 400e6
"""How fast a server reads documents for an index build that does not fit in its memory."""
_SEEN_SHARE = 0.05
"""From here on the builds of this run say how fast builds are."""


class _Build(NamedTuple):
    """Index builds of one collection that are still to come, in their order."""

    namespace: str
    indexes: int
    documents: int

    @property
    def keys(self) -> int:
        return self.indexes * self.documents


class RemainingTime:
    """Estimates from what was observed of one run, the earliest first."""

    def __init__(self, spec: RunSpec, history: Iterable[HistorySample] = ()) -> None:
        """``history``: what the ledger knows of the time before the first observation."""
        self._spec = spec
        self._samples: deque[tuple[float, int]] = deque()
        self._began = False
        for sample in history:
            self._add(sample.at, sample.documents)

    def observe(self, progress: RunProgress, now: datetime | None = None) -> float | None:
        """Take note of ``progress`` and return the seconds left; None while nobody can know."""
        at = (now or datetime.now(UTC)).timestamp()
        done = progress.counters.get(RunCounter.DOCUMENTS, 0) + progress.failures
        if progress.state not in WORKING:
            return None
        self._add(at, done)
        total = progress.documents_expected or 0
        if progress.total is None:
            return None
        if progress.acknowledged >= progress.total:
            return self._indexes_left(progress, at)
        rate, waited = self._rate(at)
        if rate <= 0:
            return None
        return max(0.0, max(0, total - done) / rate - waited) + self._indexes_ahead(progress)

    def _add(self, at: float, documents: int) -> None:
        """Keep the moments at which documents arrived."""
        samples = self._samples
        if samples and (at <= samples[-1][0] or documents <= samples[-1][1]):
            if not self._began:
                samples[-1] = (at, documents)
            return
        if samples and not self._began:
            # Starting up takes time without documents, and what arrives first was made before.
            self._began = True
            samples.clear()
        samples.append((at, documents))
        while len(samples) > _LEAST_ARRIVALS and at - samples[1][0] >= _WINDOW_SECONDS:
            samples.popleft()

    def _rate(self, now: float) -> tuple[float, float]:
        """Documents per second, and the seconds since the last ones arrived."""
        if len(self._samples) < 2:
            return 0.0, 0.0
        (then, before), (last, done) = self._samples[0], self._samples[-1]
        waited = max(0.0, now - last)
        pauses = [b[0] - a[0] for a, b in pairwise(self._samples)]
        if waited > 2 * max(pauses) + _STALL_SECONDS:
            last, waited = now, 0.0
        if last - then < _FIRST_SECONDS:
            return 0.0, 0.0
        return (done - before) / (last - then), waited

    def _indexes_ahead(self, progress: RunProgress) -> float:
        return sum(_assumed(build, progress) for build in _builds(self._spec, progress))

    def _indexes_left(self, progress: RunProgress, at: float) -> float | None:
        """Seconds of index builds that are left when every document is there."""
        builds = list(_builds(self._spec, progress))
        all_keys = sum(build.keys for build in builds)
        if not all_keys:
            return None
        running = IndexBuild.parse(progress.finishing or "")
        if running is None:
            return self._indexes_ahead(progress)
        done = _done_keys(builds, running)
        began = progress.last_acknowledged_at
        if began is None or done < _SEEN_SHARE * all_keys:
            assumed = self._indexes_ahead(progress)
            return assumed * (1 - done / all_keys)
        return (at - began.timestamp()) / done * (all_keys - done)


def _assumed(build: _Build, progress: RunProgress) -> float:
    """Seconds that builds take of which nothing was seen."""
    documents = progress.counters.get(RunCounter.DOCUMENTS, 0)
    size = progress.counters.get(RunCounter.BYTES, 0) / documents if documents else 0.0
    each = max(_SECONDS_PER_KEY, size / _BYTES_PER_SECOND)
    return build.keys * each


def _done_keys(builds: Iterable[_Build], running: IndexBuild) -> float:
    """Keys of the builds before ``running``, and of its own share."""
    done = 0.0
    for build in builds:
        if build.namespace == running.namespace:
            passes = running.number - 1 + running.share
            return done + build.keys * min(1.0, passes / running.of)
        done += build.keys
    return 0.0


def _builds(spec: RunSpec, progress: RunProgress) -> Iterator[_Build]:
    """Every index build that comes after the run's documents, in the order of the workers."""
    if spec.kind is RunKind.MIGRATION and isinstance(spec.job, MigrationJob):
        for pair in spec.job.namespaces:
            name = str(pair.target)
            yield _Build(name, pair.indexes, progress.collections_expected.get(name, 0))
    if spec.kind is RunKind.GENERATION and isinstance(spec.job, GenerationJob):
        for part in spec.job.parts:
            indexes = _template_indexes(spec.job.template, part.position)
            yield _Build(str(part.namespace), indexes, part.count)


def _template_indexes(template: Any, position: int) -> int:
    """How many indexes the template's collection at ``position`` has."""
    if not isinstance(template, Mapping):
        return 0
    collections = template.get("collections", [template])
    if isinstance(collections, Mapping):
        collections = list(collections.values())
    if not position < len(collections):
        return 0
    return len(collections[position].get("indexes", ()))
