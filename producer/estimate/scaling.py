"""The arithmetic of a run before it runs: messages, Redis, bytes, request units, hours.

Facts about a template are measured (document sizes, the time to make one); facts about the servers
are constants with their source, and docs/scaling.md has the same numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dataworks_tasks.drive.message_room import MOST_ROOM
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.bounds import MAX_BATCH_SIZE
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.store.request_charge import estimated_charge
from producer.start.run_request import RunOptions
from producer.start.start_generation import GenerationPlan

MESSAGE_BYTES = 1_111
"""A message in the queue: 925 to 1,111 bytes, measured with Valkey 9.1."""

TAKEN_PER_PROCESS_PER_SECOND = 224
"""Messages that one worker process takes and acknowledges, events on, with nothing to do."""

_INTERVAL_BYTES = 80
_WORKER_BYTES = 145
_RECORD_BYTES = 700
"""Of the ledger, measured with MEMORY USAGE: one interval, one worker process, and the rest
besides the spec."""

PARTITION_RU = 10_000
PARTITION_BYTES = 20 * 10**9
"""Most request units a second of a partition, and most bytes under one shard key value."""

RANGE_SECONDS = (1.0, 30.0)
"""How long a range should take: short ones cost messages, long ones repeat much after a loss."""

_GOOD_RANGE_SECONDS = 5.0
_RANGES_PER_PROCESS = 10
_SMALL_RUN = 1_000_000
_OWN_LIMITS = 2
"""Making documents and the queue; what else limits a run is the target, or its options."""

_MEASURED_SECONDS = 0.2
_MEASURED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is known about the workers. ``rate``: documents that one process writes a second."""

    processes: int
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class MeasuredDocuments:
    """A sample of the documents: bytes of one, and how fast one core of this machine makes them."""

    bytes: float
    smallest: int
    largest: int
    made_per_second: float


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Something that a run cannot be faster than."""

    name: str
    documents_per_second: float


@dataclass(frozen=True, slots=True)
class ScalingEstimate:
    """The arithmetic of one run. Sizes in bytes, times in seconds."""

    name: str
    documents: int
    document_bytes: float
    smallest_document: int
    largest_document: int
    total_bytes: float
    batch_size: int
    messages: int
    waiting: int
    waiting_bytes: int
    ledger_bytes: int
    processes: int
    request_units: float
    partition_keys: int
    partitions: int | None
    limits: tuple[RateLimit, ...]

    @property
    def slowest(self) -> RateLimit:
        """The limit that decides."""
        return min(self.limits, key=lambda limit: limit.documents_per_second)

    @property
    def seconds(self) -> float:
        """How long the run takes at the slowest limit."""
        return self.documents / self.slowest.documents_per_second

    @property
    def range_seconds(self) -> float:
        """How long a process takes for one range when every process is busy."""
        return self.batch_size * self.processes / self.slowest.documents_per_second

    def advice(self) -> Iterator[str]:
        """Yield advice for a smoother run; nothing for a very short one."""
        if self.documents < _SMALL_RUN:
            return
        most = self.documents // (self.processes * _RANGES_PER_PROCESS)
        shortest, longest = RANGE_SECONDS
        if self.messages < self.processes * _RANGES_PER_PROCESS:
            yield f"Each process gets fewer than ten ranges; try: --batch-size {_round(most)}"
        elif self.writing_is_known and not shortest <= self.range_seconds <= longest:
            per_second = self.slowest.documents_per_second / self.processes
            fitting = _round(min(most, _GOOD_RANGE_SECONDS * per_second, MAX_BATCH_SIZE))
            if fitting != self.batch_size:
                shown = f"{self.range_seconds:,.{1 if self.range_seconds < 10 else 0}f}"
                yield (
                    f"A range takes {shown} s, but 1 to 30 s are best; try: --batch-size {fitting}"
                )

    @property
    def writing_is_known(self) -> bool:
        """Whether a limit of the target is among the limits, so that the time means something."""
        return len(self.limits) > _OWN_LIMITS


def estimate_scaling(
    plan: GenerationPlan, config: FrameworkConfig, options: RunOptions, fleet: Fleet
) -> ScalingEstimate:
    """Estimate ``plan`` on ``fleet``. Takes under a second and connects to no server."""
    measured = measure_documents(plan)
    batch_size = options.batch_size or config.batch_aggregation_size
    # A message carries one range of the run, whichever collections it touches.
    messages = -(-plan.job.total // batch_size)
    waiting = min(messages, MOST_ROOM)
    request_units = estimated_charge(plan.job.total, round(measured.bytes * plan.job.total))
    spec_bytes = len(plan.job.model_dump_json(exclude_none=True))
    total_bytes = measured.bytes * plan.job.total
    return ScalingEstimate(
        name=plan.job.name,
        documents=plan.job.total,
        document_bytes=measured.bytes,
        smallest_document=measured.smallest,
        largest_document=measured.largest,
        total_bytes=total_bytes,
        batch_size=batch_size,
        messages=messages,
        waiting=waiting,
        waiting_bytes=waiting * MESSAGE_BYTES,
        ledger_bytes=(
            _RECORD_BYTES
            + spec_bytes
            + (waiting + fleet.processes) * _INTERVAL_BYTES
            + fleet.processes * _WORKER_BYTES
        ),
        processes=fleet.processes,
        request_units=request_units,
        partition_keys=max(1, -int(-total_bytes // PARTITION_BYTES)),
        partitions=-int(-options.max_ru // PARTITION_RU) if options.max_ru else None,
        limits=tuple(_limits(measured, batch_size, options, fleet, request_units / plan.job.total)),
    )


def measure_documents(plan: GenerationPlan) -> MeasuredDocuments:
    """Make some of each collection's documents, spread over all of them."""
    total = plan.job.total
    average = seconds_each = 0.0
    smallest: list[int] = []
    largest: list[int] = []
    for part, source in zip(plan.job.parts, plan.sources, strict=True):
        if not part.count:
            continue
        sizes, fastest = [], float("inf")
        # The first ones pay for word pools, which a worker makes once.
        source.generate(0, min(_MEASURED_AT_ONCE, part.count))
        begin = time.monotonic()
        for chunk in _spread(part.count):
            before = time.perf_counter()
            batch = source.generate(chunk.start, chunk.stop)
            fastest = min(fastest, (time.perf_counter() - before) / chunk.size)
            sizes.append(np.diff(batch.offsets))
            if time.monotonic() - begin > _MEASURED_SECONDS / len(plan.sources):
                break
        found = np.concatenate(sizes)
        share = part.count / total
        average += share * float(found.mean())
        seconds_each += share * fastest
        smallest.append(int(found.min()))
        largest.append(int(found.max()))
    return MeasuredDocuments(average, min(smallest), max(largest), 1 / seconds_each)


def _spread(count: int) -> Iterator[BatchRange]:
    """Yield a few ranges from all over a collection."""
    size = min(_MEASURED_AT_ONCE, count)
    step = max(1, (count - size) // 8)
    for start in range(0, count - size + 1, step):
        yield BatchRange(start, start + size)


def _limits(
    measured: MeasuredDocuments,
    batch_size: int,
    options: RunOptions,
    fleet: Fleet,
    request_units_each: float,
) -> Iterator[RateLimit]:
    count = counted(fleet.processes, "process", "processes")
    yield RateLimit(f"{count} making them", fleet.processes * measured.made_per_second)
    if fleet.rate:
        yield RateLimit(f"{count} writing them", fleet.processes * fleet.rate)
    taken = fleet.processes * TAKEN_PER_PROCESS_PER_SECOND
    yield RateLimit("the queue", float(taken * batch_size))
    if options.max_rate:
        yield RateLimit("--max-rate", options.max_rate)
    if options.max_ru:
        yield RateLimit("--max-ru", options.max_ru / request_units_each)


def _round(number: float) -> int:
    """Down to two digits, like 5300."""
    unit = int(10 ** max(0, len(str(int(number))) - 2))
    return max(1, int(number) // unit * unit)
