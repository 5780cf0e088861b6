"""``make bench``: the same file by ``dataworks generate`` and by mgodatagen, from Enter to prompt.

Both commands are timed from Enter to the prompt, in turn, on the same mongod; the collection is
dropped before each. DataWorks has warm workers, one process a core; mgodatagen has a thread a core.
The limit is what two processes need that only send the same documents, made beforehand: no client
is faster on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.limits import InsertLimit, Site, documents_per_second
from benchmarks.promises import Promise, promise_table
from benchmarks.runs import CommandLine
from benchmarks.shapes import SHAPES
from dataworks_tasks.generate.generation_work import DOCUMENTS_PER_WRITE
from dataworks_tasks.runs.namespace import Namespace
from producer.local.celery_services import CeleryWorker
from producer.local.environment import LocalAddresses
from producer.local.services import LocalServices

PROMISED = 1.6
MISSING = "no mgodatagen: put it on PATH, or name it in MGODATAGEN_BINARY"
_DATABASE = "bench"
_PAIRS = 3
DOCUMENTS = 500_000


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds of one command after the other, and of our run by its own clock."""

    ours: float
    run: float
    theirs: float

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.theirs / self.ours


@dataclass(frozen=True, slots=True)
class Contest:
    """Two commands that read the same file and fill the same collection."""

    site: Site
    command: CommandLine
    mgodatagen: str
    documents: int

    def pairs(self, shape: str, count: int) -> list[Pair]:
        """Run both in turn, after a pair that is not counted."""
        path = self.command.folder / f"wall_clock_{shape}.json"
        collection = {"database": _DATABASE, "collection": shape, "count": self.documents}
        path.write_text(json.dumps([{**collection, "content": SHAPES[shape]}]))
        return [self._pair(shape, path) for _ in range(count + 1)][1:]

    def limit(self, shape: str) -> float:
        """Seconds that it takes to send the documents and to have them stored."""
        template = {"content": SHAPES[shape]}
        job = InsertLimit(self.site, template, self.documents, DOCUMENTS_PER_WRITE)
        seconds = self.documents / documents_per_second(job, self.documents)
        with self.site.client() as client:
            client.drop(job.namespace)
        return seconds

    def _pair(self, shape: str, path: Path) -> Pair:
        self._drop(shape)
        ours = self.command.run("generate", path)
        self._check(shape)
        self._drop(shape)
        theirs = self._run_mgodatagen(path)
        self._check(shape)
        return Pair(ours.command_seconds, ours.run_seconds, theirs)

    def _run_mgodatagen(self, path: Path) -> float:
        url, cores = self.command.addresses.mongodb_url, str(os.cpu_count())
        began = time.monotonic()
        subprocess.run(
            (self.mgodatagen, "-f", str(path), "--uri", url, "-n", cores),
            cwd=self.command.folder,
            check=True,
            capture_output=True,
        )
        return time.monotonic() - began

    def _drop(self, shape: str) -> None:
        with self.site.client() as client:
            client.drop(Namespace(_DATABASE, shape))

    def _check(self, shape: str) -> None:
        with self.site.client() as client:
            found = client.collection(Namespace(_DATABASE, shape)).count_documents({})
        if found != self.documents:
            raise RuntimeError(f"{found:,} of {self.documents:,} documents are there")


def find_mgodatagen() -> str | None:
    """Return the program, if this machine has it."""
    return os.environ.get("MGODATAGEN_BINARY") or shutil.which("mgodatagen")


def wall_clock(
    contest: Contest,
    count: int = _PAIRS,
    shapes: Iterable[str] = SHAPES,
    say: Callable[[str], None] = print,
) -> Iterator[Promise]:
    """Compare each shape, and yield the median of the ratios."""
    for shape in shapes:
        found = contest.pairs(shape, count)
        ours, run, theirs = (
            statistics.median(getattr(pair, name) for pair in found)
            for name in ("ours", "run", "theirs")
        )
        say(
            f"{shape}: {contest.documents:,} documents in {ours:.2f} s, of which the run took "
            f"{run:.2f} s; mgodatagen {theirs:.2f} s; sending alone {contest.limit(shape):.2f} s"
        )
        ratio = statistics.median(pair.ratio for pair in found)
        yield Promise(f"as fast as mgodatagen by the clock, {shape}", ratio, PROMISED, False, "x")


def main() -> None:
    """Measure on services of its own; exit 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wall_clock", description=__doc__)
    parser.add_argument("--mgodatagen", default=find_mgodatagen(), metavar="PROGRAM")
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    parser.add_argument("--pairs", type=int, default=_PAIRS)
    parser.add_argument("--shape", choices=tuple(SHAPES), action="append")
    options = parser.parse_args()
    if options.mgodatagen is None:
        sys.exit(MISSING)
    with LocalServices.in_temporary_folder() as services:
        services.start_stores()
        addresses = LocalAddresses(services.redis_url, services.mongodb_url)
        command = CommandLine(addresses, services.folder)
        services.start(CeleryWorker(command.environment, "worker-1", os.cpu_count() or 1))
        contest = Contest(
            Site(addresses.mongodb_url), command, options.mgodatagen, options.documents
        )
        found = list(wall_clock(contest, options.pairs, options.shape or SHAPES))
    Console(highlight=False).print(promise_table(found))
    sys.exit(0 if all(item.kept for item in found) else 1)


if __name__ == "__main__":
    main()
