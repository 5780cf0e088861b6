"""``python -m benchmarks.remaining_time``: what the time left said during a run, and the truth.

Each run copies at a steady rate for some minutes and builds its indexes then. The first runs are on
a target on which no build was seen, so that a range is shown; the next ones know its speed. Every
15 seconds, the estimate is read as by a command that watches the run, and as by one that looks
once. ``--max-rate`` keeps the copy steady; without it the rate depends on the machine and on other
work there.

Fails when, from the second minute on, a figure is more than a quarter off or the truth is outside a
range, except in the last seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

from benchmarks.runs import CommandLine
from dataworks_tasks.ledger.contract import WORKING, RunProgress, RunState
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.ledger.run_counters import RunCounter
from producer.local.celery_services import CeleryWorker
from producer.local.environment import LocalAddresses
from producer.local.services import LocalServices
from producer.view.remaining_time import RemainingTime
from producer.view.time_left import TimeLeft

_SHARES = {"orders": 0.6, "customers": 0.3, "notes": 0.1}
_INDEXES: Mapping[str, Sequence[Mapping[str, int]]] = {
    "orders": ({"number": 1}, {"created": -1}, {"code": 1, "number": 1}, {"tags": 1}, {"text": 1}),
    "customers": ({"code": 1}, {"number": 1}, {"created": 1, "code": 1}),
    "notes": ({"tags": 1}, {"text": 1}),
}
_CONTENT = {
    "number": {"type": "long", "min": 0, "max": 1_000_000_000},
    "code": {"type": "string", "minLength": 8, "maxLength": 8},
    "text": {"type": "string", "minLength": 40, "maxLength": 60},
    "created": {
        "type": "date",
        "startDate": "2020-01-01T00:00:00Z",
        "endDate": "2026-01-01T00:00:00Z",
    },
    "tags": {
        "type": "array",
        "minLength": 1,
        "maxLength": 5,
        "arrayContent": {"type": "string", "minLength": 6, "maxLength": 6},
    },
}
_FROM_SECONDS = 60
_LAST_SECONDS = 8
"""Of so little, a second is an eighth."""
_OFF = 0.25
_LOOK_SECONDS, _SAY_SECONDS = 1.0, 15
_END_SECONDS = 1800.0


class _Said(NamedTuple):
    """The estimates ``at`` seconds after the beginning, for a watcher and for a single look."""

    at: float
    doing: str
    watched: TimeLeft | None
    looked: TimeLeft | None


class _Course(NamedTuple):
    """A run from its beginning to its end."""

    name: str
    said: Sequence[_Said]
    seconds: float

    def wrong(self, one: _Said) -> bool:
        """Whether what was said is wrong, and has to be right."""
        left = self.seconds - one.at
        if one.at < _FROM_SECONDS or left < _LAST_SECONDS:
            return False
        return any(_is_off(said, left) for said in (one.watched, one.looked))


def _is_off(said: TimeLeft | None, left: float) -> bool:
    if said is None:
        return True
    return not (1 - _OFF) * said.least <= left <= (1 + _OFF) * said.most


def main() -> None:
    """Follow each run, print what was said, and exit 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remaining_time")
    parser.add_argument("--documents", type=int, default=1_500_000)
    parser.add_argument("--rate", type=int, default=10_000, help="documents a second")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    with LocalServices.in_temporary_folder() as services:
        services.start_stores()
        addresses = LocalAddresses(services.redis_url, services.mongodb_url)
        command = CommandLine(addresses, services.folder)
        names = [f"worker-{number}" for number in range(chosen.workers)]
        services.start(*(CeleryWorker(command.environment, name) for name in names))
        runs = _Runs(command, RedisLedger(Redis.from_url(services.redis_url)))
        wrong = 0
        for name, arguments in _cases(chosen.documents, chosen.rate, services.folder):
            wrong += _show(runs.follow(name, arguments))
    sys.exit(1 if wrong else 0)


def _cases(documents: int, rate: int, folder: Path) -> list[tuple[str, list[str]]]:
    template = folder / "remaining.json"
    template.write_text(json.dumps(_template(documents)))
    generate = ["generate", str(template), "--database", "left", "--drop"]
    migrate = ["migrate", "--include", "left.*", "--map", "left.*=copy.*", "--drop"]
    paced = ["--max-rate", str(rate)]
    return [
        ("generate, paced, a target that nobody knows", [*generate, *paced]),
        ("generate, paced, again", [*generate, *paced]),
        ("migrate three collections, paced", [*migrate, *paced]),
        ("migrate three collections, as fast as it goes", migrate),
        ("generate, as fast as it goes", generate),
    ]


def _template(documents: int) -> Mapping[str, Any]:
    return {
        "name": "remaining",
        "collections": [
            {
                "collection": name,
                "count": int(documents * share),
                "content": _CONTENT,
                "indexes": [{"key": dict(key), "name": "_".join(key)} for key in _INDEXES[name]],
            }
            for name, share in _SHARES.items()
        ],
    }


class _Runs:
    """Starts runs by the command line, and asks for the time left until they end."""

    def __init__(self, command: CommandLine, ledger: RedisLedger) -> None:
        self._command, self._ledger = command, ledger

    def follow(self, name: str, arguments: Sequence[str]) -> _Course:
        """Start a run, and return what was said of it. Raises RuntimeError unless it completes."""
        known = set(self._ledger.run_ids())
        process = subprocess.Popen(
            [sys.executable, "-m", "producer", *arguments, "--json"],
            env=self._command.environment,
            cwd=self._command.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            run_id = self._wait(
                lambda: next(iter(set(self._ledger.run_ids()) - known), None), process
            )
            said, seconds = self._ask(run_id)
        if self._ledger.state(run_id) is not RunState.COMPLETE:
            raise RuntimeError(f"{name}: {run_id} is {self._ledger.state(run_id)}")
        return _Course(name, said, seconds)

    def _ask(self, run_id: str) -> tuple[list[_Said], float]:
        spec = self._ledger.spec(run_id)
        watching = RemainingTime.of(self._ledger, spec)
        began = spec.created_at
        said: list[_Said] = []
        while (progress := self._ledger.progress(run_id)).state in WORKING:
            at = (datetime.now(UTC) - began).total_seconds()
            watched = watching.observe(progress)
            if at >= _SAY_SECONDS * (len(said) + 1):
                looked = RemainingTime.of(self._ledger, spec).observe(progress)
                said.append(_Said(at, _doing(progress), watched, looked))
            if at > _END_SECONDS:
                raise RuntimeError(f"{run_id} took longer than {_END_SECONDS:.0f} s")
            time.sleep(_LOOK_SECONDS)
        assert progress.finished_at is not None
        return said, (progress.finished_at - began).total_seconds()

    @staticmethod
    def _wait(find: Callable[[], str | None], process: subprocess.Popen[str]) -> str:
        while (found := find()) is None:
            if process.poll() is not None and find() is None:
                raise RuntimeError(process.communicate()[1])
            time.sleep(0.05)
        return found


def _doing(progress: RunProgress) -> str:
    if progress.finishing:
        return progress.finishing
    documents = progress.counters.get(RunCounter.DOCUMENTS, 0)
    return f"{documents:,} of {progress.documents_expected or 0:,} documents"


def _show(course: _Course) -> int:
    """Print the table of a run, and return how many of its lines are wrong."""
    sys.stdout.write(f"\n{course.name}: {course.seconds:.0f} s\n")
    sys.stdout.write("   at  left  watched       off    one look      off\n")
    wrong = 0
    for one in course.said:
        left = course.seconds - one.at
        is_wrong = course.wrong(one)
        wrong += is_wrong
        shown = "  ".join(f"{_text(said):<12} {_off(said, left):>5}" for said in one[2:])
        mark = "  WRONG" if is_wrong else ""
        sys.stdout.write(f"{one.at:5.0f} {left:5.0f}  {shown}  {one.doing}{mark}\n")
    sys.stdout.flush()
    return wrong


def _text(said: TimeLeft | None) -> str:
    return "-" if said is None else str(said)


def _off(said: TimeLeft | None, left: float) -> str:
    return "" if said is None or left <= 0 else f"{said.seconds / left - 1:+.0%}"


if __name__ == "__main__":
    main()
