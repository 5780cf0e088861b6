"""``make bench``: how long a person waits, beside ``python -c pass`` on the same machine.

The figures are medians of several runs. A busy machine makes all of them worse, and the first line
shows by how much.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console

from benchmarks.limits import Site
from benchmarks.promises import Promise, first_document, promise_table
from benchmarks.runs import CommandLine
from benchmarks.templates import flat
from dataworks_tasks.runs.namespace import Namespace
from producer.cli import COMMANDS
from producer.local.celery_services import CeleryWorker
from producer.local.environment import LocalAddresses
from producer.local.services import LocalServices

_REPEATS = 5
_LAST = Namespace("bench", "last")
_LAST_TOTAL = 50_000
_POLL_SECONDS = 0.005
_LONGEST_SECONDS = 120.0


def startup(services: LocalServices, site: Site, command: CommandLine) -> Iterator[Promise]:
    """Every wait; ``services`` runs warm workers and gets another one."""
    bare = _median(lambda: _run(command, sys.executable, "-c", "pass"))
    yield Promise("python -c pass", bare, 0.25, at_most=True, unit="s")
    helps = {
        name: _median(lambda name=name: _dataworks(command, name, "--help"), 3)  # type: ignore[misc]
        for name in COMMANDS
    }
    slowest = max(helps, key=lambda name: helps[name])
    yield Promise(f"slowest help text ({slowest})", helps[slowest], 0.25, at_most=True, unit="s")
    command.run("generate", "service_order", *_where(_LAST), "--drop", "--total", 10)
    status = _median(lambda: _dataworks(command, "status"))
    yield Promise("status", status, 0.5, at_most=True, unit="s")
    first = statistics.median(first_document(site, command) for _ in range(3))
    yield Promise("Enter to first document", first, 0.6, at_most=True, unit="s")
    last = statistics.median(last_document(site, command) for _ in range(3))
    yield Promise("last document to prompt", last, 0.3, at_most=True, unit="s")
    worker = CeleryWorker(command.environment, "worker-at-start")
    began = time.monotonic()
    services.start(worker)
    ready = time.monotonic() - began
    services.stop(worker.name)
    yield Promise("celery worker, until it consumes", ready, 2.0, at_most=True, unit="s")
    demo = _timed(lambda: _dataworks(command, "demo"))
    yield Promise("demo", demo, 12.0, at_most=True, unit="s")


def last_document(site: Site, command: CommandLine) -> float:
    """Seconds from the last document in the collection to the end of the command."""
    with site.client() as client:
        client.drop(_LAST)
        collection = client.collection(_LAST)
        path = command.folder / "last.json"
        path.write_text(json.dumps(flat()))  # without indexes, which are built after the documents
        arguments = ("generate", str(path), *_where(_LAST), "--total", str(_LAST_TOTAL))
        running = subprocess.Popen(
            [sys.executable, "-m", "producer", *arguments, "--json"],
            env=command.environment,
            cwd=command.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        began = time.monotonic()
        while collection.estimated_document_count() < _LAST_TOTAL:
            if time.monotonic() - began > _LONGEST_SECONDS or running.poll():
                raise RuntimeError("the last document did not come")
            time.sleep(_POLL_SECONDS)
        there = time.monotonic()
        running.wait(_LONGEST_SECONDS)
        return time.monotonic() - there


def _where(namespace: Namespace) -> Sequence[str]:
    return ("--database", namespace.database, "--collection", namespace.collection)


def _dataworks(command: CommandLine, *arguments: str) -> None:
    _run(command, sys.executable, "-m", "producer", *arguments)


def _run(command: CommandLine, *arguments: str) -> None:
    subprocess.run(
        arguments, env=command.environment, cwd=command.folder, check=True, capture_output=True
    )


def _timed(action: Callable[[], None]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def _median(action: Callable[[], None], repeats: int = _REPEATS) -> float:
    action()  # compiles what is not compiled yet, and fills the page cache
    return statistics.median(_timed(action) for _ in range(repeats))


def main() -> None:
    """Measure on services of its own; exit 1 when a promise is not kept."""
    console = Console(highlight=False)
    with LocalServices.in_temporary_folder() as services:
        services.start_stores()
        addresses = LocalAddresses(services.redis_url, services.mongodb_url)
        command = CommandLine(addresses, services.folder)
        services.start(*(CeleryWorker(command.environment, f"worker-{n}") for n in (1, 2)))
        found = []
        for item in startup(services, Site(addresses.mongodb_url), command):
            console.print(f"{item.name}: {item.value:.2f} {item.unit}")
            found.append(item)
    console.print(promise_table(found))
    sys.exit(0 if all(item.kept for item in found) else 1)


if __name__ == "__main__":
    main()
