"""Whether the workers fit this machine: the same versions, servers and plugins."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from celery import Celery
from celery.exceptions import DuplicateNodenameWarning

from dataworks_tasks.broker.broker_errors import broker_errors
from dataworks_tasks.broker.messages import TASKS
from dataworks_tasks.numerals import counted
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.version import __version__
from dataworks_tasks.worker.report import REPORT, describe
from producer.doctor.check import Check
from producer.doctor.redis_checks import clock_check

_WAIT_SECONDS = 2.0
_POOLS = ("prefork", "solo")
_START = "Start one: dataworks worker, or everything: dataworks local"


def worker_checks(
    app: Celery, config: FrameworkConfig, versions: Mapping[str, str]
) -> Iterator[Check]:
    """Yield the checks of each worker that answers, or one that says that none does.

    ``versions``: those that workers reported to the ledger, by their names.
    """
    with broker_errors(), warnings.catch_warnings():
        # ``duplicate_names`` reports it as a check.
        warnings.simplefilter("ignore", DuplicateNodenameWarning)
        inspect = app.control.inspect(timeout=_WAIT_SECONDS)
        alive: Mapping[str, Any] = inspect.stats() or {}
        if not alive:
            yield Check("workers", ok=False, found="no worker answers", remedy=_START)
            return
        taking = inspect.active_queues() or {}
        asked = app.control.broadcast(REPORT, reply=True, timeout=_WAIT_SECONDS)
        replies: Sequence[Mapping[str, Any]] = asked or []
        reports = _by_name(replies)
        tasks = _tasks(inspect, alive, reports)
    here = describe(config)
    for worker, stats in sorted(alive.items()):
        processes = stats.get("pool", {}).get("max-concurrency", "?")
        own: Sequence[Mapping[str, Any] | None] = reports.get(worker, [None])
        size = "? processes" if processes == "?" else counted(processes, "process", "processes")
        queues = _queues(taking.get(worker), own[0])
        if queues and config.queue not in queues:
            # It gets no run from this machine. Whether any worker does is a separate check.
            only = f"{worker}, {size}, takes from {', '.join(queues)} only"
            yield Check("worker", ok=True, found=only)
            continue
        for report in own:
            yield compare_worker(f"{worker}, {size}", here, report)
            yield from _clock(worker, report)
        yield from _pool(worker, stats)
        for known in tasks.get(worker, ()):
            yield from task_checks(worker, known, versions.get(worker))
    yield queue_check(config.queue, taking)
    yield from duplicate_names(replies)


def _tasks(
    inspect: Any,
    alive: Iterable[str],
    reports: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Mapping[str, Sequence[Sequence[str]]]:
    """Return the tasks that the workers of each name know; older ones do not report them."""
    found = {
        name: [report["tasks"] for report in own if "tasks" in report]
        for name, own in reports.items()
    }
    if all(found.get(name) for name in alive):
        return found
    registered: Mapping[str, Sequence[str]] = inspect.registered() or {}
    return {name: found.get(name) or [tasks] for name, tasks in registered.items()}


def task_checks(worker: str, known: Sequence[str], version: str | None) -> Iterator[Check]:
    """Check that a worker knows every task that this version sends."""
    names = {name.partition(" ")[0] for name in known}  # Celery adds options to some of them
    if unknown := [task for task in TASKS if task not in names]:
        yield Check(
            "worker tasks",
            ok=False,
            found=f"{worker} of {f'version {version}' if version else 'an unknown version'} does "
            f"not know {', '.join(unknown)} of version {__version__}, so it leaves such messages "
            "to other workers",
            remedy="Upgrade it and restart it: pip install -U dataworks",
        )


def queue_check(queue: str, taking: Mapping[str, Sequence[Mapping[str, Any]]]) -> Check:
    """Check that a worker takes from the queue that runs are sent to."""
    name = "queue"
    takers = {worker: {each.get("name") for each in queues} for worker, queues in taking.items()}
    count = sum(queue in names for names in takers.values())
    if count:
        takers_of_it = counted(count, "worker takes", "workers take")
        return Check(name, ok=True, found=f"{takers_of_it} from {queue}")
    others = ", ".join(sorted({str(other) for names in takers.values() for other in names}))
    return Check(
        name,
        ok=False,
        found=f"no worker takes from {queue}, where runs are sent; they take from {others}",
        remedy=f"Set FRAMEWORK_QUEUE={queue} for workers, or start them with -Q {queue}",
    )


def duplicate_names(replies: Sequence[Mapping[str, Any]]) -> Iterator[Check]:
    """Check for workers that share a name: commands and answers of one get lost."""
    for worker, count in Counter(name for reply in replies for name in reply).items():
        if count > 1:
            yield Check(
                "worker names",
                ok=False,
                found=f"{count} workers are called {worker}",
                remedy="Give each its own name: dataworks worker --name NAME",
            )


def _by_name(
    replies: Sequence[Mapping[str, Mapping[str, Any]]],
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the reports of each name; workers that share one may have different versions."""
    reports: dict[str, list[Mapping[str, Any]]] = {}
    for reply in replies:
        for name, report in reply.items():
            reports.setdefault(name, []).append(report)
    return reports


def _clock(worker: str, report: Mapping[str, Any] | None) -> Iterator[Check]:
    ahead = (report or {}).get("clock_ahead_seconds")
    if isinstance(ahead, int | float):
        yield clock_check("worker clock", f"{worker}'s clock", ahead, "that of Redis")


def _pool(worker: str, stats: Mapping[str, Any]) -> Iterator[Check]:
    kind = str(stats.get("pool", {}).get("implementation", ""))
    if kind and not any(known in kind for known in _POOLS):
        yield Check(
            "worker pool",
            ok=False,
            found=f"{worker} uses the pool {kind}, with which runs make no progress",
            remedy="Start it with --pool prefork, which is the default, or --pool solo",
        )


def _queues(
    taking: Sequence[Mapping[str, Any]] | None, report: Mapping[str, Any] | None
) -> list[str]:
    """Return the queues that a worker takes from; empty if it does not say."""
    if taking is not None:
        return sorted(str(one.get("name")) for one in taking)
    return [report["queue"]] if report and "queue" in report else []


def compare_worker(title: str, here: Mapping[str, Any], there: Mapping[str, Any] | None) -> Check:
    """Compare the descriptions of this process (``here``) and the worker (``there``)."""
    name = "worker"
    if there is None or "versions" not in there:
        problem = (there or {}).get(
            "problem", "it does not know this request: it has another version"
        )
        return Check(name, ok=False, found=f"{title}: {problem}", remedy="Update and restart it")
    differences = list(_differences(here, there))
    if differences:
        found = "; ".join(text for text, _ in differences)
        return Check(name, ok=False, found=f"{title}: {found}", remedy=differences[0][1])
    return Check(name, ok=True, found=f"{title}, version {there['versions']['dataworks']}")


def _differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each difference, and what to do about it."""
    for package, version in here["versions"].items():
        if (other := there["versions"].get(package)) != version:
            yield (
                f"{package} {other} there, {version} here",
                "Install the same versions: pip install -c constraints.txt dataworks",
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
    """Yield the differences of plugins, by file name: folders may differ."""
    names = {PurePath(plugin).name for plugin in there}
    for plugin in here:
        if PurePath(plugin).name not in names:
            yield f"it has no plugin {plugin}", "Add it to FRAMEWORK_PLUGINS there and restart it"
    for plugin, found in there.items():
        if not found:
            yield f"its plugin {plugin} is missing", "Install it there and restart it"
