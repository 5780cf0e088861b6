"""A process that changes documents of a source at a rate, some of them one hot document.

It shares the machine with what is measured, so it costs as little as a writer of single documents
can: one command for many updates, each by ``_id``, which the driver does not send again. Retryable
writes cost the server another third for each update, and PyMongo's bulk writes 10 us.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any

import pymongo

_AT_ONCE, _AT_ONCE_WITHOUT_RATE = 100, 1000
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
        at_once = _AT_ONCE_WITHOUT_RATE if rate is None else _AT_ONCE
        hot = round(at_once * _HOT_SHARE)
        increment = {"$inc": {"n": 1}}
        often: list[dict[str, Any]] = [{"q": {"_id": -1}, "u": increment, "upsert": True}] * hot
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            number, began = 0, time.monotonic()
            while not self._over.is_set():
                numbers = range(number, number + at_once - hot)
                number = numbers.stop
                others = [{"q": {"_id": n % documents}, "u": increment} for n in numbers]
                command = {"update": "orders", "ordered": False, "updates": often + others}
                reply = client["bench"].command(command)
                if reply["n"] != at_once:
                    raise RuntimeError(f"the source refused an update: {reply}")
                self._count.value += at_once
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
