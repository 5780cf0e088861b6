"""How fast one process copies: measured for a few seconds, with the workers' own code."""

from __future__ import annotations

import math
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Lock

from dataworks_tasks.errors import TerminalError
from dataworks_tasks.ledger.contract import RangeResult
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.migrate.copy_indexes import copy_indexes
from dataworks_tasks.migrate.factory import MigrationStrategyFactory
from dataworks_tasks.migrate.route import document_change, parsed_filter
from dataworks_tasks.migrate.slice_copy import ByteBudget, CopyResources, CopyRoute, SliceCopy
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.choices import IndexPolicy
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.scan.read_slice import SliceSource, read_slice
from dataworks_tasks.scan.slice import Slice
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.slicing.split_migration import plan_slices
from dataworks_tasks.store.bulk_write import WritePolicy
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_collection import CollectionLayout, create_collection

_INTERVAL_SECONDS = 0.5
SAMPLE_COLLECTION = "dataworks_sample_"


@dataclass(frozen=True, slots=True)
class CopyMeasurement:
    """What one process did in ``seconds``. ``rates``: documents per second of each half second.

    ``written``: the documents were written to a temporary collection at the target, and
    ``index_seconds`` is how long the source's indexes took on them. Otherwise they were only read
    and changed.
    """

    pair: NamespacePair
    documents: int
    bytes: int
    seconds: float
    rates: tuple[float, ...]
    written: bool
    index_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Documents per second."""
        return self.documents / self.seconds if self.seconds else 0.0

    @property
    def spread(self) -> float:
        """The relative standard error of the rate; 0 if there is too little data."""
        steady = self.rates[1:]  # connections are opened in the first half second
        mean = statistics.fmean(steady) if len(steady) > 1 else 0.0
        return statistics.stdev(steady) / mean / math.sqrt(len(steady)) if mean else 0.0


@dataclass(frozen=True, slots=True)
class CopySite:
    """Where a copy is measured, and how."""

    source: BaseDatabaseClient
    target: BaseDatabaseClient
    job: MigrationJob
    config: FrameworkConfig
    layout: CollectionLayout = field(default_factory=CollectionLayout)
    slice_documents: int = 5000


def measure_copy(
    site: CopySite, pair: NamespacePair, seconds: float, *, write: bool
) -> CopyMeasurement:
    """Copy documents of one collection for some seconds, or only read them.

    They are written to a temporary collection in the target's database, which is dropped at the
    end, whatever happens. Raises StoreUnavailable and terminal errors.
    """
    if not write:
        return _Measurement(site, pair, None).run(seconds)
    namespace = Namespace(pair.target.database, SAMPLE_COLLECTION + secrets.token_hex(6))
    try:
        if site.layout:
            create_collection(site.target, namespace, site.layout)
        found = _Measurement(site, pair, namespace).run(seconds)
        return (
            found if site.job.indexes is IndexPolicy.NONE else _with_indexes(site, found, namespace)
        )
    finally:
        site.target.drop(namespace)


def _with_indexes(site: CopySite, found: CopyMeasurement, namespace: Namespace) -> CopyMeasurement:
    began = time.monotonic()
    copy_indexes(site.source, site.target, found.pair.model_copy(update={"target": namespace}))
    took = time.monotonic() - began
    return CopyMeasurement(
        found.pair, found.documents, found.bytes, found.seconds, found.rates, True, took
    )


class _Measurement:
    """Copies slices on several threads until the time is over or there are no more."""

    def __init__(self, site: CopySite, pair: NamespacePair, namespace: Namespace | None) -> None:
        self._site, self._pair, self._namespace = site, pair, namespace
        self._over = Event()
        self._lock = Lock()
        self._documents = self._bytes = self._failures = 0
        self._reason = ""
        self._copies: list[SliceCopy] = []
        self._slices = self._planned()

    def run(self, seconds: float) -> CopyMeasurement:
        """Work for this time, and return what was done."""
        config = self._site.config
        rates: list[float] = []
        began = time.monotonic()
        with (
            ThreadPoolExecutor(config.max_insert_workers) as writers,
            ThreadPoolExecutor(config.parallel_cursors) as readers,
        ):
            resources = CopyResources(writers, ByteBudget())
            running = [
                readers.submit(self._work, resources) for _ in range(config.parallel_cursors)
            ]
            try:
                rates = list(self._watch(running, began + seconds))
            finally:
                self._over.set()
            for future in running:
                future.result()
        self._collect()
        self._check()
        took = time.monotonic() - began
        return CopyMeasurement(
            self._pair,
            self._documents,
            self._bytes,
            took,
            tuple(rates),
            self._namespace is not None,
        )

    def _watch(self, running: list[Future[None]], until: float) -> Iterator[float]:
        before, at = 0, time.monotonic()
        pending: set[Future[None]] = set(running)
        while pending and time.monotonic() < until:
            # Not a pause: what is left of it after the last slice would count as copying.
            pending = wait(pending, _INTERVAL_SECONDS).not_done
            self._collect()
            now = time.monotonic()
            if pending or not before:
                yield (self._documents - before) / (now - at)
            before, at = self._documents, now

    def _planned(self) -> Iterator[Slice]:
        job = self._site.job.model_copy(update={"namespaces": (self._pair,)})
        for batch in plan_slices(self._site.source, job, self._site.slice_documents):
            yield from map(Slice.from_bytes, batch.slices)

    def _next(self) -> Slice | None:
        with self._lock:
            return next(self._slices, None)

    def _work(self, resources: CopyResources) -> None:
        while not self._over.is_set() and (slice_ := self._next()) is not None:
            if self._namespace is None:
                self._read(slice_)
            else:
                self._copy(slice_, self._namespace, resources, self._over.is_set)

    def _read(self, slice_: Slice) -> None:
        change = document_change(self._site.job, self._pair)
        for batch in read_slice(self._source(), slice_):
            made = change(batch).batch
            self._add(len(batch), made.size_bytes)
            if self._over.is_set():
                return

    def _copy(
        self,
        slice_: Slice,
        namespace: Namespace,
        resources: CopyResources,
        stopped: Callable[[], bool],
    ) -> None:
        site = self._site
        policy = WritePolicy(site.config.write_concern, site.job.on_conflict)
        route = CopyRoute(
            self._source(), document_change(site.job, self._pair), site.target, namespace, policy
        )
        copy = SliceCopy(route, slice_, resources)
        with self._lock:
            self._copies.append(copy)
        finished = copy.run(stopped)
        with self._lock:
            self._copies.remove(copy)
        if finished:
            self._count(copy.last_part())
        elif part := copy.part():
            self._count(part[0])

    def _collect(self) -> None:
        with self._lock:
            copies = list(self._copies)
        for copy in copies:
            if part := copy.part():
                self._count(part[0])

    def _count(self, result: RangeResult) -> None:
        with self._lock:
            self._failures += len(result.failures)
            if result.failures:
                self._reason = result.failures[0].reason
        self._add(result.counters[RunCounter.READ], result.counters[RunCounter.BYTES])

    def _check(self) -> None:
        """Raise TerminalError if the target accepted nothing: then the rate is meaningless."""
        if self._documents and self._failures >= self._documents:
            tried = counted(self._documents, "document")
            raise TerminalError(f"the target accepted none of {tried}: {self._reason}")

    def _add(self, documents: int, size: int) -> None:
        with self._lock:
            self._documents += documents
            self._bytes += size

    def _source(self) -> SliceSource:
        site = self._site
        strategy = MigrationStrategyFactory.create(site.job.strategy)
        most = site.target.capabilities.max_documents_per_write
        return SliceSource(
            client=site.source,
            namespace=self._pair.source,
            field=strategy.resume_field.encode(),
            also=parsed_filter(site.job),
            batch_size=min(site.config.source_db_batch_size, most),
        )
