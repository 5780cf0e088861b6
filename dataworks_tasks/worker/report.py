"""What a worker reports when ``dataworks doctor`` asks: versions, servers, plugins."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from celery.worker.control import inspect_command

from dataworks_tasks.broker.messages import TASKS
from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.ledger.connect import Patience, connect_ledger
from dataworks_tasks.runs.reproducibility import versions
from dataworks_tasks.settings import ConfigManager, FrameworkConfig

REPORT = "dataworks_report"
"""The remote control command's name."""


@inspect_command(name=REPORT)
def report(state: Any, **_: Any) -> dict[str, Any]:
    """Return versions, queue, fingerprints, plugins and tasks; no secrets."""
    tasks = sorted(name for name in state.app.tasks if name in TASKS)
    try:
        config = ConfigManager().load_config()
        more = {"clock_ahead_seconds": _clock_ahead(config), "tasks": tasks}
        return {**describe(config), **more}
    except DataWorksError as error:
        return {"problem": str(error), "tasks": tasks}


def _clock_ahead(config: FrameworkConfig) -> float:
    """Return how far this machine's clock is ahead of the ledger's."""
    ledger = connect_ledger(config, Patience.EVENT_LOOP)
    try:
        return -ledger.server_facts().clock_ahead_seconds
    finally:
        ledger.close()


def describe(config: FrameworkConfig) -> dict[str, Any]:
    """Describe what must be the same in processes that work together.

    Plugins are looked up but not loaded: the process that answers also forks the pool.
    """
    return {
        "versions": versions(),
        "queue": config.queue,
        "source": config.source.fingerprint if config.source else None,
        "target": config.target.fingerprint if config.target else None,
        "plugins": {name: _is_there(name) for name in config.plugins},
    }


def _is_there(plugin: str) -> bool:
    if plugin.endswith(".py"):
        return Path(plugin).is_file()
    try:
        return find_spec(plugin) is not None
    except (ImportError, ValueError):
        return False
