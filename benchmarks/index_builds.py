"""What an index build costs on this machine's mongod, by the kind of its keys.

``python -m benchmarks.index_builds`` prints microseconds for each document: of the clock, and of
mongod's processor time, which other work on the machine disturbs less. The constants of
``dataworks_tasks/runs/index_cost.py`` come from here.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection

from producer.local.services import LocalServices

_TOGETHER = "five at once"
_INDEXES: Mapping[str, Mapping[str, Any]] = {
    "int": {"number": 1},
    "date": {"created": 1},
    "objectId": {"owner": 1},
    "8 characters": {"code": 1},
    "60 characters": {"note": 1},
    "int, date": {"number": 1, "created": 1},
    "three fields": {"code": 1, "created": 1, "number": 1},
    "5 elements": {"tags": 1},
    "few values": {"status": 1},
    "hashed": {"owner": "hashed"},
}
_AT_ONCE = ("int", "date", "8 characters", "int, date", "5 elements")
_BATCH = 10_000


class _Cost(NamedTuple):
    """One build: seconds of the clock and of the processor, and the bytes of the index."""

    seconds: float
    processor_seconds: float
    index_bytes: int


def main() -> None:
    """Build each index of a small and of a larger document, and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.index_builds")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--padding", type=int, nargs="*", default=[0, 1000], help="bytes more")
    chosen = parser.parse_args()
    with LocalServices.in_temporary_folder() as services:
        services.start_mongod()
        pid = services.pids()["mongod"]
        with MongoClient[dict[str, Any]](services.mongodb_url) as client:
            for padding in chosen.padding:
                collection = client["bench"][f"builds{padding}"]
                _fill(collection, chosen.documents, padding)
                _measure(collection, pid, chosen.documents)


def _fill(collection: Collection[dict[str, Any]], documents: int, padding: int) -> None:
    for first in range(0, documents, _BATCH):
        count = min(_BATCH, documents - first)
        collection.insert_many(_documents(first, count, padding), ordered=False)


def _documents(first: int, count: int, padding: int) -> Iterator[dict[str, Any]]:
    for number in range(first, first + count):
        mixed = number * 2_654_435_761 % 2**32
        text = f"{mixed:08x}"
        yield {
            "_id": number,
            "number": mixed % 2**31,
            "created": 1_600_000_000_000 + mixed * 37,
            "owner": ObjectId(f"{text}{number:016x}"),
            "code": text,
            "note": text * 7 + "0000",
            "tags": [f"tag {(mixed >> shift) % 997}" for shift in range(0, 20, 4)],
            "status": ("new", "open", "closed")[mixed % 3],
            "padding": text * (padding // 8),
        }


def _measure(collection: Collection[dict[str, Any]], pid: int, documents: int) -> None:
    size = collection.database.command("collStats", collection.name)["avgObjSize"]
    builds: dict[str, Sequence[Mapping[str, Any]]] = {
        **{name: [keys] for name, keys in _INDEXES.items()},
        _TOGETHER: [_INDEXES[name] for name in _AT_ONCE],
    }
    for name, several in builds.items():
        cost = _build(collection, pid, several)
        sys.stdout.write(
            f"{size:5} bytes a document, {name:14}: {1e6 * cost.seconds / documents:6.2f} us, "
            f"processor {1e6 * cost.processor_seconds / documents:6.2f} us, "
            f"index {cost.index_bytes / documents:6.1f} bytes a document\n"
        )
        sys.stdout.flush()


def _build(
    collection: Collection[dict[str, Any]], pid: int, indexes: Sequence[Mapping[str, Any]]
) -> _Cost:
    named = [{"key": dict(keys), "name": f"i{number}"} for number, keys in enumerate(indexes)]
    command = {"createIndexes": collection.name, "indexes": named}
    began, before = time.monotonic(), _processor_seconds(pid)
    collection.database.command(command)
    cost = time.monotonic() - began, _processor_seconds(pid) - before
    sizes = collection.database.command("collStats", collection.name)["indexSizes"]
    collection.drop_indexes()
    return _Cost(*cost, sum(size for name, size in sizes.items() if name != "_id_"))


def _processor_seconds(pid: int) -> float:
    import os

    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
