"""``make bench``: measure, print a table, write JSON and a plot."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.cases import Bench, Measurement, write_plugin
from benchmarks.limits import Site
from benchmarks.plot import plot
from benchmarks.promises import Promise, custom_generator, promise_table, slow_wire
from benchmarks.runs import CommandLine
from benchmarks.startup import startup
from benchmarks.wall_clock import DOCUMENTS, MISSING, Contest, find_mgodatagen, wall_clock
from producer.local.celery_services import CeleryWorker
from producer.local.environment import LocalAddresses
from producer.local.services import LocalServices

RESULTS = Path(__file__).parent / "results"
_RATES = ("generation", "migration")
_GROUPS = (*_RATES, "promises", "startup", "wall-clock")


def main() -> None:
    """Measure what the command line asks for; exit 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", default=_GROUPS, help=", ".join(_GROUPS))
    parser.add_argument("--documents", type=int, default=1_000_000)
    options = parser.parse_args()
    console = Console(highlight=False)
    rates, promises = measure(options.groups, options.documents, console)
    if rates:
        console.print(table(rates))
    if promises:
        console.print(promise_table(promises))
    RESULTS.mkdir(exist_ok=True)
    write_results(rates, promises, RESULTS)
    kept = [*(rate.kept for rate in rates), *(promise.kept for promise in promises)]
    sys.exit(0 if all(kept) else 1)


def measure(
    groups: Sequence[str], documents: int, console: Console
) -> tuple[list[Measurement], list[Promise]]:
    """Yield every measurement of the groups, and print each as it comes."""
    found: list[Measurement] = []
    promises: list[Promise] = []
    with LocalServices.in_temporary_folder() as services:
        services.start_stores()
        addresses = LocalAddresses(services.redis_url, services.mongodb_url)
        plugin = str(write_plugin(services.folder))
        command = CommandLine(addresses, services.folder, {"FRAMEWORK_PLUGINS": plugin})
        services.start(*(CeleryWorker(command.environment, f"worker-{n}") for n in (1, 2)))
        bench = Bench(Site(addresses.mongodb_url), command, documents)
        for group in (name for name in groups if name in _RATES):
            for item in getattr(bench, group)():
                console.print(
                    f"{item.case}: {item.rate:,.0f} docs/s, {item.share:.2f} of {item.limit:,.0f}"
                )
                found.append(item)
        if "promises" in groups:
            promises += [
                custom_generator(),
                slow_wire(services, command, documents // 2),
            ]
        if "startup" in groups:
            promises += startup(services, bench.site, command)
        if "wall-clock" in groups:
            promises += _wall_clock(bench, console)
    return found, promises


def _wall_clock(bench: Bench, console: Console) -> list[Promise]:
    mgodatagen = find_mgodatagen()
    if mgodatagen is None:
        console.print(f"wall-clock is skipped: {MISSING}")
        return []
    contest = Contest(bench.site, bench.command, mgodatagen, DOCUMENTS)
    return list(wall_clock(contest, say=partial(console.print, soft_wrap=True)))


def table(found: Sequence[Measurement]) -> Table:
    """Return the measurements as a table for people."""
    shown = Table(box=None, pad_edge=False)
    shown.add_column("case")
    for name in ("documents", "docs/s", "with start-up", "limit", "share", "promised", "memory"):
        shown.add_column(name, justify="right")
    for item in found:
        color = "green" if item.kept else "red"
        shown.add_row(
            item.case,
            f"{item.documents:,}",
            f"{item.rate:,.0f}",
            f"{item.command_rate:,.0f}" if item.command_rate else "",
            f"{item.limit:,.0f}",
            f"[{color}]{item.share:.2f}[/{color}]",
            f"{item.promised:.2f}" if item.promised else "",
            f"{item.worker_bytes / 1e6:,.0f} MB" if item.worker_bytes else "",
        )
    return shown


def write_results(found: Sequence[Measurement], promises: Sequence[Promise], folder: Path) -> None:
    """``bench.json`` and ``bench.png``."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    value = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "measurements": [item.as_json() for item in found],
        "promises": [item.as_json() for item in promises],
    }
    (folder / "bench.json").write_text(json.dumps(value, indent=2) + "\n")
    if found:
        plot(found, folder / "bench.png")


if __name__ == "__main__":
    main()
