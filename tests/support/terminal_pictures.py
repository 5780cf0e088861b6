"""Pictures of the terminal in docs/images, from a real run: ``make terminal-pictures``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from dataworks_tasks.settings import ConfigManager
from producer.cli.shared.run_outcome import print_next_step, summary
from producer.connections import Connections
from producer.drive.message_queue import MessageQueue
from producer.drive.observation import Observation
from producer.local.environment import LocalAddresses
from producer.local.services import LocalServices
from producer.view.live_snapshot import LiveMeter, LiveSnapshot
from producer.view.progress import TerminalView
from producer.view.run_summary import summarize
from tests.fleet import wait_until

IMAGES = Path(__file__).parents[2] / "docs/images"
SIZES = ((80, 24), (120, 40))
_SEEN_SECONDS = 8.0


def main() -> None:
    """Run the shop template, and draw it while it runs and when it is complete."""
    with tempfile.TemporaryDirectory() as folder, LocalServices.in_temporary_folder() as services:
        services.start_stores()
        addresses = LocalAddresses(services.redis_url, services.mongodb_url)
        services.start_worker(addresses.environment, 2)
        config = ConfigManager().load_config(overrides=dict(addresses.settings))
        run_id = _start(addresses, Path(folder))
        with Connections(config) as connections:
            _draw_while_it_runs(connections, run_id)
            _draw_the_end(connections, run_id)


def _start(addresses: LocalAddresses, folder: Path) -> str:
    command = [sys.executable, "-m", "producer", "generate", "shop", "--scale", "1"]
    done = subprocess.run(
        [*command, "--database", "shop", "--max-rate", "6k", "--detach", "--json"],
        env={**_environment(), **addresses.environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    return str(json.loads(done.stdout.splitlines()[-1])["run"])


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def _draw_while_it_runs(connections: Connections, run_id: str) -> None:
    ledger, queue = connections.ledger, MessageQueue(connections.app)
    spec = ledger.spec(run_id)
    meter = LiveMeter(spec, ledger)
    began = time.monotonic()
    seen: list[LiveSnapshot] = []

    def look() -> bool:
        live = meter.read(Observation(ledger.progress(run_id), queue.depth()))
        assert live is not None
        seen.append(live)
        return time.monotonic() - began > _SEEN_SECONDS and live.time_left is not None

    wait_until(look, "some of it is done", 90)
    for width, height in SIZES:
        console = Console(record=True, width=width, height=height, file=sys.stderr, highlight=False)
        view = TerminalView(spec, console, ledger)
        console.print(f"[bold]$[/bold] dataworks generate shop --database shop\n{run_id}")
        console.print(view.drawn(_without_host(seen[-1])))
        _save(console, f"terminal-{width}x{height}.svg")


def _without_host(live: LiveSnapshot) -> LiveSnapshot:
    """Name the workers as on any machine."""
    workers = [replace(one, name=f"worker-1:{one.name.rpartition(':')[2]}") for one in live.workers]
    return replace(live, workers=tuple(workers))


def _draw_the_end(connections: Connections, run_id: str) -> None:
    ledger = connections.ledger
    wait_until(lambda: ledger.progress(run_id).finished_at, "the run is complete", 180)
    console = Console(record=True, width=80, file=sys.stderr, highlight=False)
    run = summarize(ledger.spec(run_id), ledger.progress(run_id))
    console.print(f"[bold]$[/bold] dataworks status {run_id}")
    console.print(summary(run))
    print_next_step(console, run, run.flags)
    _save(console, "terminal-status.svg")


def _save(console: Console, name: str) -> None:
    (IMAGES / name).write_text(console.export_svg(title="dataworks"))


if __name__ == "__main__":
    main()
