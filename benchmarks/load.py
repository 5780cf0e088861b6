"""``make load``: one large run by the command line, and what memory does meanwhile.

Samples worker processes, producer and Redis; writes ``load.json`` and ``load.png``; fails unless
the target holds exactly the requested documents and memory stays flat.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from os import environ
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pymongo

from benchmarks.__main__ import RESULTS
from benchmarks.templates import flat
from producer.local.celery_services import CeleryWorker
from producer.local.environment import LocalAddresses
from producer.local.services import LocalServices

WORKERS = ("worker-1", "worker-2")
SETTLED = 0.2
"""The share of a run after which every process has all its buffers."""
MOST_GROWTH = 1.15
"""Median of the last fifth against the first fifth after settling."""
LEAST_SAMPLES = 50
SMALL = 100_000
MOST_TIMES_SMALL = 1.05
"""A worker's peak in the whole run against its peak in one of ``SMALL`` documents."""
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident bytes at one moment; a worker's are those of its busiest pool process."""

    seconds: float
    workers: int
    producer: int
    redis: int


@dataclass(frozen=True, slots=True)
class LoadRun:
    """The outcome of a run."""

    documents: int
    found: int
    seconds: float
    samples: tuple[Sample, ...]
    small_peak: int
    """Most bytes of a worker process in a run of ``SMALL`` documents before this one."""

    def peak(self, name: str) -> int:
        """Return the most bytes that ``name`` used."""
        return max(int(getattr(sample, name)) for sample in self.samples)

    @property
    def times_small(self) -> float:
        """A worker's peak as a multiple of that in the small run."""
        return self.peak("workers") / self.small_peak

    @property
    def growth(self) -> dict[str, float]:
        """By how much each grew between the beginning and the end of its settled time.

        Empty if the run was too short to show it.
        """
        settled = self.samples[int(len(self.samples) * SETTLED) :]
        part = len(settled) // 5
        if len(settled) < LEAST_SAMPLES:
            return {}
        ends = (settled[:part], settled[-part:])
        before, after = ({name: _middle(end, name) for name in _PROGRAMS} for end in ends)
        return {name: after[name] / before[name] for name in _PROGRAMS}

    @property
    def kept(self) -> bool:
        """Whether the count is exact and nothing grew."""
        flat_memory = all(factor <= MOST_GROWTH for factor in self.growth.values())
        flat_memory = flat_memory and self.times_small <= MOST_TIMES_SMALL
        return self.found == self.documents and flat_memory


_PROGRAMS = ("workers", "producer", "redis")


def _middle(samples: Sequence[Sample], name: str) -> float:
    return float(median(getattr(sample, name) for sample in samples))


def main() -> None:
    """Run, write, and exit 1 unless every promise is kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000_000)
    parser.add_argument("--batch-size", type=int, default=10_000)
    chosen = parser.parse_args()
    run = load(chosen.documents, chosen.batch_size)
    RESULTS.mkdir(exist_ok=True)
    derived = {"growth": run.growth, "times_small": run.times_small, "kept": run.kept}
    figures = {**asdict(run), **derived}
    (RESULTS / "load.json").write_text(json.dumps(figures, indent=2) + "\n")
    plot(run, RESULTS / "load.png")
    rate = run.documents / run.seconds
    print(f"{run.found:,} of {run.documents:,} documents in {run.seconds:,.0f} s, {rate:,.0f}/s")
    for name in _PROGRAMS:
        most = run.peak(name)
        factor = run.growth.get(name)
        grew = f"{factor:.2f} times its beginning" if factor else "too short to say more"
        print(f"{name}: at most {most / _MEGABYTE:,.0f} MB, at the end {grew}")
    print(f"a worker's peak: {run.times_small:.2f} times that of {SMALL:,} documents")
    sys.exit(0 if run.kept else 1)


def load(documents: int, batch_size: int) -> LoadRun:
    """Generate documents of 160 bytes into mongod with two workers; everything is gone after it."""
    with LocalServices.in_temporary_folder() as services:
        services.start_stores()
        addresses = LocalAddresses(services.redis_url, services.mongodb_url)
        services.start(*(CeleryWorker(addresses.environment, name) for name in WORKERS))
        template = services.folder / "flat.json"
        template.write_text(json.dumps(flat()))
        work = _Work(services, addresses, template, batch_size)
        small = work.run(SMALL)
        began = time.monotonic()
        samples = work.run(documents)
        seconds = time.monotonic() - began
        with pymongo.MongoClient[dict[str, Any]](services.mongodb_url) as client:
            found = client["load"]["flat"].count_documents({})
        small_peak = max(sample.workers for sample in small)
        return LoadRun(documents, found, seconds, samples, small_peak)


@dataclass(frozen=True, slots=True)
class _Work:
    services: LocalServices
    addresses: LocalAddresses
    template: Path
    batch_size: int

    def run(self, documents: int) -> tuple[Sample, ...]:
        """Generate into an empty collection; what memory did meanwhile."""
        command = [
            *(sys.executable, "-m", "producer", "generate", str(self.template), "--drop"),
            *("--total", str(documents), "--batch-size", str(self.batch_size)),
            *("--database", "load", "--collection", "flat", "--json"),
        ]
        began = time.monotonic()
        producer = subprocess.Popen(
            command,
            env={**environ, **self.addresses.environment},
            cwd=self.services.folder,
            stdout=subprocess.DEVNULL,
        )
        interval = max(0.1, min(0.5, documents / 1e6))
        samples: list[Sample] = []
        while producer.poll() is None:
            samples.append(_sample(self.services, producer.pid, time.monotonic() - began))
            time.sleep(interval)
        if producer.returncode:
            raise RuntimeError(f"the run ended with {producer.returncode}")
        return tuple(samples)


def _sample(services: LocalServices, producer: int, seconds: float) -> Sample:
    pids = services.pids()
    pool = [child.pid for name in WORKERS for child in psutil.Process(pids[name]).children()]
    workers = max((_resident(pid) for pid in pool), default=0)
    return Sample(seconds, workers, _resident(producer), _resident(pids["valkey"]))


def _resident(pid: int) -> int:
    """0 for a process that has just ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def plot(run: LoadRun, path: Path) -> None:
    """Memory over time, a line for each program."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    seconds = [sample.seconds for sample in run.samples]
    for name in _PROGRAMS:
        megabytes = [getattr(sample, name) / _MEGABYTE for sample in run.samples]
        axes.plot(seconds, megabytes, label="largest worker process" if name == "workers" else name)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"seconds of a run of {run.documents:,} documents")
    axes.set_ylabel("resident MB")
    axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
