"""A process that changes documents of a source at a rate, some of them one hot document."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any

import pymongo

_AT_ONCE = 100
_HOT_SHARE = 0.1


class Changes:
    """What the process has done so far; ``stop`` ends it."""

    def __init__(self) -> None:
        self._over: Event = multiprocessing.Event()
        self._count: Any = multiprocessing.Value("q", 0)

    @property
    def count(self) -> int:
        """How many changes the source has acknowledged."""
        return int(self._count.value)

    def stop(self) -> None:
        """Change nothing more."""
        self._over.set()

    def run(self, url: str, documents: int, rate: float | None) -> None:
        """Increment ``n`` of document after document; a tenth of the changes is of one document."""
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            orders = client["bench"]["orders"]
            number, began = 0, time.monotonic()
            hot = round(_AT_ONCE * _HOT_SHARE)
            while not self._over.is_set():
                changes = [pymongo.UpdateOne({"_id": -1}, {"$inc": {"n": 1}}, upsert=True)] * hot
                for _ in range(_AT_ONCE - hot):
                    changes.append(
                        pymongo.UpdateOne({"_id": number % documents}, {"$inc": {"n": 1}})
                    )
                    number += 1
                orders.bulk_write(changes, ordered=False)
                self._count.value += len(changes)
                if rate is not None:
                    self._over.wait(max(0.0, began + self._count.value / rate - time.monotonic()))


@contextmanager
def changing(url: str, documents: int, rate: float | None) -> Iterator[Changes]:
    """Change the source in a process of its own, at most ``rate`` times a second."""
    changes = Changes()
    process = multiprocessing.Process(target=changes.run, args=(url, documents, rate))
    process.start()
    try:
        yield changes
    finally:
        changes.stop()
        process.join()
