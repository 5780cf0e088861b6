"""Request units: what an insert costs by its size, and what the server says it cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from dataworks_tasks.errors import DataWorksError, TerminalError
from dataworks_tasks.store.connection_watch import ConnectionWatch

INSERT_1KB_RU = 5.5
"""An unindexed insert of 1 KB (reference/cosmos.md section 3). Indexes cost more: what is measured
corrects the estimate."""
_KIBIBYTE = 1024


def estimated_charge(documents: int, size_bytes: int) -> float:
    """RU of inserting ``documents`` of together ``size_bytes``: 5.5 for each, or for each KB."""
    return INSERT_1KB_RU * max(float(documents), size_bytes / _KIBIBYTE)


class ChargeMeter:
    """Asks ``getLastRequestStatistics`` on the connection that the insert went over.

    The command tells the last request of a connection, and a pool may give the next command
    another one. So an answer counts only when the pool gave this thread the same connection twice
    in a row, with nobody in between, and the server speaks of an insert.
    """

    def __init__(self, watch: ConnectionWatch) -> None:
        self._watch = watch
        self._lock = threading.Lock()
        self._supported = True

    def of_last_insert(self, ask: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> float | None:
        """RU of the insert this thread has just done; None where it cannot be told."""
        if not self._supported:
            return None
        before = self._watch.last_checkout()
        try:
            told = ask({"getLastRequestStatistics": 1})
        except TerminalError:
            with self._lock:
                self._supported = False
            return None
        except DataWorksError:
            return None
        after = self._watch.last_checkout()
        if before is None or after is None:
            return None
        same = after.connection == before.connection and after.number == before.number + 1
        if not same or told.get("CommandName") != "insert":
            return None
        return float(told["RequestCharge"])
