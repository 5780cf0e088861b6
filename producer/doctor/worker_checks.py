"""Do the workers fit this machine: same versions, same servers, same plugins?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from celery import Celery

from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.worker.report import REPORT, describe
from producer.doctor.check import Check

_WAIT_SECONDS = 2.0


def worker_checks(app: Celery, config: FrameworkConfig) -> Iterator[Check]:
    """One check for each worker that answers, or one that says that none does."""
    control = app.control
    alive: Mapping[str, Any] = control.inspect(timeout=_WAIT_SECONDS).stats() or {}
    if not alive:
        remedy = "Start one: celery -A dataworks_tasks worker, or everything: dataworks local"
        yield Check("workers", ok=False, found="none answers", remedy=remedy)
        return
    replies = control.broadcast(REPORT, reply=True, timeout=_WAIT_SECONDS, limit=len(alive)) or []
    reports = {name: report for reply in replies for name, report in reply.items()}
    here = describe(config)
    for worker, stats in sorted(alive.items()):
        processes = stats.get("pool", {}).get("max-concurrency", "?")
        yield compare(worker, f"{worker}, {processes} processes", here, reports.get(worker))


def compare(
    worker: str, title: str, here: Mapping[str, Any], there: Mapping[str, Any] | None
) -> Check:
    """The worker's check: ``here`` and ``there`` are descriptions of both processes."""
    name = "worker"
    if there is None or "versions" not in there:
        problem = (there or {}).get("problem", "it does not know what is asked: another version")
        return Check(name, ok=False, found=f"{title}: {problem}", remedy="Update and restart it")
    differences = list(_differences(here, there))
    if differences:
        found = "; ".join(text for text, _ in differences)
        return Check(name, ok=False, found=f"{title}: {found}", remedy=differences[0][1])
    return Check(name, ok=True, found=f"{title}, version {there['versions']['dataworks']}")


def _differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What differs, and what to do about it."""
    for package, version in here["versions"].items():
        if (other := there["versions"].get(package)) != version:
            yield (
                f"{package} {other} there, {version} here",
                "Install the same versions: pip install -c constraints.txt dataworks",
            )
    if here["queue"] != there["queue"]:
        yield (
            f"it takes from the queue {there['queue']}, this machine sends to {here['queue']}",
            "Set FRAMEWORK_QUEUE alike on both",
        )
    for side in ("source", "target"):
        if here[side] is not None and here[side] != there[side]:
            yield (
                f"its {side} is {there[side] or 'not set'}, here it is {here[side]}",
                f"Set FRAMEWORK_{side.upper()}_DB_CONNECTION_STRING there and restart it",
            )
    yield from _plugin_differences(here["plugins"], there["plugins"])


def _plugin_differences(
    here: Mapping[str, bool], there: Mapping[str, bool]
) -> Iterator[tuple[str, str]]:
    """A file may lie elsewhere there, so its name is what counts."""
    names = {PurePath(plugin).name for plugin in there}
    for plugin in here:
        if PurePath(plugin).name not in names:
            yield f"it has no plugin {plugin}", "Add it to FRAMEWORK_PLUGINS there and restart it"
    for plugin, found in there.items():
        if not found:
            yield f"its plugin {plugin} is not there", "Install it there and restart it"
