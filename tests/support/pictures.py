"""``make pictures``: the pictures of the pages in docs/images, from a real run."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from dataworks_tasks.settings import ConfigManager
from producer.connections import Connections
from producer.local.environment import LocalAddresses
from producer.local.services import LocalServices
from producer.local.web_service import WebPages
from tests.fleet import wait_until
from tests.support.browser import Browser

IMAGES = Path(__file__).parents[2] / "docs/images"
WORKER_KILLED_AT = 0.45


def main() -> None:
    """Fill, copy and compare a shop, kill a worker in one more run, and take the pictures."""
    with tempfile.TemporaryDirectory() as folder, LocalServices.in_temporary_folder() as services:
        services.start_stores()
        addresses = LocalAddresses(services.redis_url, services.mongodb_url)
        environment = addresses.environment
        worker = services.start_worker(environment, 2)
        services.start(WebPages(environment))
        _run(environment, "generate", "shop", "--scale", "0.05", "--database", "shop")
        copied = _run(environment, "migrate", "--include", "shop.*", "--map", "shop.*=archive.*")
        _run(environment, "verify", copied["run"])
        made = _run(
            environment, "generate", "service_order", "--database", "shop", "--collection",
            "service_orders", "--total", "80k", "--max-rate", "4k", "--batch-size", "1000",
            "--detach",
        )  # fmt: skip
        config = ConfigManager().load_config(overrides=dict(addresses.settings))
        with Connections(config) as connections, Browser(Path(folder) / "browser") as browser:
            ledger = connections.ledger

            def reached(share: float) -> bool:
                progress = ledger.progress(made["run"])
                return progress.acknowledged >= share * (progress.total or 1)

            wait_until(lambda: reached(WORKER_KILLED_AT), "half of the run is done", 120)
            services.restart(worker.name)
            wait_until(lambda: reached(0.6), "the run continues", 120)
            browser.width(1100)
            browser.call("Emulation.setScrollbarsHidden", hidden=True)
            browser.open(f"{services.urls()['web']}runs/{made['run']}")
            _save(browser, "run.png")
            browser.open(services.urls()["web"])
            _save(browser, "runs.png", 640)


def _run(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    """Run a command, and return the run that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "producer", *arguments, "--json"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _save(browser: Browser, name: str, height: int = 900) -> None:
    clip = {"x": 0, "y": 0, "width": 1100, "height": height, "scale": 1}
    taken = browser.call("Page.captureScreenshot", format="png", clip=clip)
    (IMAGES / name).write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    main()
