"""Situations in which a run might claim more than it has, drawn and judged by ``make soak``.

Each ends with what the verdict said, beside what an independent comparison of the databases found.
"""

from __future__ import annotations

import itertools
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from dataworks_tasks.ledger.contract import RunProgress
from tests.fleet import Fleet, wait_until
from tests.support.exact import expected_documents, generate_arguments

COUNT = 4_000
RATE = 3_000
_READ_THIS = 4
Documents = Collection[dict[str, Any]]
Snapshot = Counter[bytes]


@dataclass(frozen=True, slots=True)
class Ended:
    """One run: what was said of it, and what is there."""

    situation: str
    run_id: str
    said: str
    found: str
    claims_more: bool
    claims_less: bool = False


@dataclass(slots=True)
class Situations:
    """Draws situations on a fleet; ``throttled`` writes to an account whose dials can be turned."""

    fleet: Fleet
    throttled: Fleet
    dials: Callable[[Mapping[str, Any]], None]
    kill_a_process: Callable[[], None]
    random: random.Random
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _deck: list[str] = field(default_factory=list)

    def draw(self) -> list[Ended]:
        """Play the next situation; each comes up once before any comes up again."""
        plays = {**self._source_changes(), **self._others()}
        if not self._deck:
            self._deck = self.random.sample(sorted(plays), len(plays))
        name = self._deck.pop()
        return plays[name](name)

    def _others(self) -> dict[str, Callable[[str], list[Ended]]]:
        return {
            "throttling that comes and goes": self._throttling,
            "generation into a time series": self._time_series,
            "copy of a time series": self._copy_of_a_time_series,
            "replace conflicts, some refused": self._replace_conflicts,
        }

    def _source_changes(self) -> dict[str, Callable[[str], list[Ended]]]:
        changes: dict[str, Callable[[Documents], None]] = {
            "documents are added to the source": self._add,
            "documents are deleted from the source": self._delete,
            "the source is renamed": self._rename,
            "the source is dropped": lambda source: source.drop(),
            "the source is replaced by a rename": self._replace,
            "the source is dropped and made again": self._make_again,
            "documents of the source are changed": self._change,
            "as many are added as deleted": self._exchange,
        }

        def play(change: Callable[[Documents], None]) -> Any:
            return lambda name: self._source_change(name, change)

        return {name: play(change) for name, change in changes.items()}

    # The changes; ids of the beginning are copied already, ids of the end are not.

    def _add(self, source: Documents) -> None:
        first = self.random.choice([-60, COUNT])
        source.insert_many({"_id": first + n, "v": "added"} for n in range(50))

    def _delete(self, source: Documents) -> None:
        first = self.random.choice([0, COUNT - 60])
        source.delete_many({"_id": {"$gte": first, "$lt": first + 50}})

    def _rename(self, source: Documents) -> None:
        source.rename(f"{source.name}_elsewhere")

    def _replace(self, source: Documents) -> None:
        fresh = source.database[f"{source.name}_fresh"]
        fresh.insert_many({"_id": n, "v": "fresh"} for n in range(COUNT))
        fresh.rename(source.name, dropTarget=True)

    def _make_again(self, source: Documents) -> None:
        source.drop()
        source.insert_many({"_id": n, "v": "made again"} for n in range(COUNT))

    def _change(self, source: Documents) -> None:
        first = self.random.randrange(COUNT - 100)
        source.update_many({"_id": {"$gte": first, "$lt": first + 100}}, {"$set": {"v": "changed"}})

    def _exchange(self, source: Documents) -> None:
        source.delete_many({"_id": {"$lt": 50}})
        source.insert_many({"_id": -n - 1, "v": "exchanged"} for n in range(50))

    def _fill(self, source: Documents, **more: Any) -> None:
        source.insert_many(
            {"_id": n, "v": n % 97, "text": "x" * (n % 50), **more} for n in range(COUNT)
        )

    def _names(self) -> tuple[Documents, Documents]:
        number = next(self._numbers)
        database = self.fleet.mongo[self.fleet.database]
        return database[f"source{number}"], database[f"copy{number}"]

    def _started(self, fleet: Fleet, *arguments: object) -> tuple[subprocess.Popen[str], str]:
        before = set(fleet.ledger.run_ids())
        producer = fleet.start(*arguments)
        run_id = wait_until(
            lambda: next(iter(set(fleet.ledger.run_ids()) - before), None),
            "a run is recorded",
            180,
        )
        time.sleep(self.random.uniform(0.0, 1.2))
        return producer, run_id

    def _migration(self, source: Documents, target: Documents, *more: object) -> tuple[Any, ...]:
        return (
            *("migrate", "--include", f"{source.database.name}.{source.name}"),
            *("--to", f"{target.database.name}.{target.name}"),
            *("--max-rate", RATE, "--batch-size", 200, *more),
        )

    def _source_change(self, name: str, change: Callable[[Documents], None]) -> list[Ended]:
        source, target = self._names()
        self._fill(source)
        before = snapshot(source)
        producer, run_id = self._started(self.fleet, *self._migration(source, target))
        change(source)
        if self.random.random() < 0.5:
            self.kill_a_process()
        code = ended(producer)
        now, copied = snapshot(source), snapshot(target)
        # What the run copied is true if it was the source at some moment.
        is_true = copied in (before, now)
        outcomes = [
            Ended(
                name,
                run_id,
                verdict(code, self.fleet.ledger.progress(run_id)),
                compared(now, copied),
                claims_more=code == 0 and not is_true,
                claims_less=code == 1 and copied == now == before,
            )
        ]
        if code in (0, _READ_THIS) and now:
            outcomes.append(self._verified(name, run_id, copied == now, compared(now, copied)))
        return outcomes

    def _verified(self, name: str, run_id: str, is_equal: bool, found: str) -> Ended:
        done = self.fleet.run("verify", run_id, check=False)
        check = self.fleet.ledger.run_ids()[0]
        said = verdict(done.returncode, self.fleet.ledger.progress(check))
        claims = done.returncode in (0, _READ_THIS)
        return Ended(
            f"{name}, then verified",
            check,
            said,
            found,
            claims and not is_equal,
            claims_less=is_equal and not claims,
        )

    def _throttling(self, name: str) -> list[Ended]:
        collection = f"throttled{next(self._numbers)}"
        arguments = generate_arguments(
            self.throttled, COUNT, "--max-rate", RATE, collection=collection, batch_size=300
        )
        producer, run_id = self._started(self.throttled, *arguments)
        for _ in range(self.random.randint(1, 3)):
            share = self.random.choice([0.01, 0.2, 0.9, 1.0])
            self.dials({"document_throttle_share": share})
            time.sleep(self.random.uniform(0.3, 2.5))
            self.dials({"document_throttle_share": 0.0})
            time.sleep(self.random.uniform(0.0, 1.0))
        code = ended(producer)
        wanted = Counter(expected_documents(COUNT))
        found = snapshot(self.fleet.mongo[self.throttled.database][collection])
        said = verdict(code, self.throttled.ledger.progress(run_id))
        return [
            Ended(
                name,
                run_id,
                said,
                compared(wanted, found),
                code == 0 and found != wanted,
                claims_less=code != 0 and found == wanted,
            )
        ]

    def _time_series(self, name: str) -> list[Ended]:
        _, target = self._names()
        series = {"timeField": "at", "metaField": "sensorId"}
        target.database.create_collection(target.name, timeseries=series)
        producer, run_id = self._started(
            self.fleet,
            *("generate", "sensors", "--database", self.fleet.database),
            *("--collection", target.name, "--total", COUNT, "--seed", 7, "--batch-size", 500),
            *("--max-rate", RATE, "--allow-duplicates"),
        )
        for _ in range(self.random.randint(1, 2)):
            self.kill_a_process()
            time.sleep(self.random.uniform(0.0, 0.5))
        code = ended(producer)
        times = Counter(document["_id"] for document in target.find({}, {"_id": 1}))
        twice = times.total() - len(times)
        progress = self.fleet.ledger.progress(run_id)
        said = verdict(code, progress)
        is_said = f"{twice:,} are duplicates" in said
        found = f"{times.total():,} documents, {len(times):,} different _ids"
        is_wrong = len(times) != COUNT or (twice and not is_said)
        outcomes = [
            Ended(
                name,
                run_id,
                said,
                found,
                code in (0, _READ_THIS) and bool(is_wrong),
                claims_less=code != 0 and not twice,
            )
        ]
        if code in (0, _READ_THIS):
            is_exact = len(times) == COUNT and not twice
            outcomes.append(self._verified(name, run_id, is_exact, found))
        return outcomes

    def _copy_of_a_time_series(self, name: str) -> list[Ended]:
        source, target = self._names()
        source.database.create_collection(source.name, timeseries={"timeField": "at"})
        began = time.time()
        source.insert_many({"_id": n, "at": _moment(began + n), "v": n % 31} for n in range(COUNT))
        # What is copied are its buckets, which are few.
        arguments = ("--max-rate", 20, "--batch-size", 4)
        producer, run_id = self._started(
            self.fleet, *self._migration(source, target)[:-4], *arguments
        )
        self.kill_a_process()
        code = ended(producer)
        wanted, copied = by_value(source), by_value(target)
        found = compared(wanted, copied)
        said = verdict(code, self.fleet.ledger.progress(run_id))
        outcomes = [
            Ended(
                name,
                run_id,
                said,
                found,
                code == 0 and wanted != copied,
                claims_less=code == 1 and wanted == copied,
            )
        ]
        if code in (0, _READ_THIS):
            outcomes.append(self._verified(name, run_id, wanted == copied, found))
        return outcomes

    def _replace_conflicts(self, name: str) -> list[Ended]:
        source, target = self._names()
        self._fill(source)
        refused = set(self.random.sample(range(COUNT), self.random.choice([0, 3])))
        for number in refused:
            source.update_one({"_id": number}, {"$set": {"key": "taken"}})
        there = self.random.sample(range(COUNT), COUNT // 2)
        target.insert_many({"_id": number, "old": True} for number in sorted(there))
        target.insert_one({"_id": "other", "key": "taken"})
        target.create_index("key", unique=True, sparse=True)
        policy = ("--append", "--on-conflict", "replace", "--indexes", "none")
        producer, run_id = self._started(self.fleet, *self._migration(source, target, *policy))
        self.kill_a_process()
        code = ended(producer)
        wanted, copied = snapshot(source), snapshot(target, {"_id": {"$type": "number"}})
        missing = (wanted - copied).total()
        progress = self.fleet.ledger.progress(run_id)
        wrong = missing if code == 0 else missing != progress.failures
        return [
            Ended(
                name,
                run_id,
                verdict(code, progress),
                compared(wanted, copied),
                code in (0, _READ_THIS) and bool(wrong),
            )
        ]


def snapshot(collection: Documents, query: Mapping[str, Any] | None = None) -> Snapshot:
    """Every document's bytes."""
    options = collection.codec_options.with_options(document_class=RawBSONDocument)
    raw = collection.with_options(options)
    return Counter(bytes(document.raw) for document in raw.find(query or {}))


def by_value(collection: Documents) -> Snapshot:
    """Every document, whatever the order of its fields: a time series does not keep it."""
    return Counter(repr(sorted(document.items())).encode() for document in collection.find())


def compared(wanted: Snapshot, found: Snapshot) -> str:
    """Return what an independent comparison says."""
    missing, more = (wanted - found).total(), (found - wanted).total()
    if not missing and not more:
        return f"equal, {found.total():,} documents"
    return f"{missing:,} of the source are not there, {more:,} are there that it does not have"


def verdict(code: int, progress: RunProgress) -> str:
    """Return what the run said at its end, in one line."""
    notes = [note.text for note in progress.notes if note.attention]
    counted = [f"{progress.failures:,} failures"] if progress.failures else []
    error = [progress.last_error] if progress.state == "failed" and progress.last_error else []
    return "; ".join([f"exit {code}, {progress.state}", *counted, *notes, *error])


def ended(producer: subprocess.Popen[str]) -> int:
    """Return the exit code, after reading the output so that the producer is not blocked."""
    drain = threading.Thread(target=producer.communicate)
    drain.start()
    drain.join(300)
    return producer.wait(1)


def _moment(seconds: float) -> Any:
    return datetime.fromtimestamp(int(seconds), UTC)
