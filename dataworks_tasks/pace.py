"""Keep the whole fleet under the run's rate."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dataworks_tasks.ledger.contract import Ledger

_LONGEST_NAP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class SharedPace:
    """Waits, before each write, until the run's bucket in Redis allows its documents."""

    ledger: Ledger
    run_id: str
    documents_per_second: float

    def __call__(self, documents: int, _bytes: int) -> None:
        """Wait for ``documents``."""
        wait = self.ledger.take_tokens(
            self.run_id, "documents", self.documents_per_second, documents
        )
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LONGEST_NAP_SECONDS))


def documents_per_write(limit: int, documents_per_second: float | None) -> int:
    """How many documents a write may have so that it stays under a tenth of a second's budget."""
    if documents_per_second is None:
        return limit
    return max(1, min(limit, int(documents_per_second / 10)))
