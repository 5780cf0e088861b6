"""What workers report to the ledger, and what the ledger answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class PlanEnd(NamedTuple):
    """Where a plan ends: how many slices it has, and the last of them."""

    planned: int = 0
    last_slice: bytes | None = None


@dataclass(frozen=True, slots=True)
class DocumentFailure:
    """A document that was not written. ``document_id`` is Extended JSON; ``key`` identifies it.

    ``bson_id``: the ``_id`` as hexadecimal BSON, if a repair needs it exactly. ``index``: where the
    batch of a generated document begins.
    """

    key: str
    document_id: str
    namespace: str
    reason: str
    bson_id: str = ""
    index: int | None = None


@dataclass(frozen=True, slots=True)
class RangeResult:
    """The outcome of a range: what to add to the counters, and what could not be written."""

    counters: Mapping[str, int]
    failures: Sequence[DocumentFailure] = ()


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """``newly``: how many indexes or slices were not acknowledged before.

    ``closed_last_gap`` is true for exactly one call in a run's life (again after a retry).
    ``checkpointed``: a part of a slice was recorded, and the rest of the slice is left.
    """

    newly: int
    closed_last_gap: bool
    checkpointed: bool = False


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """A worker process as it was when it last acknowledged."""

    name: str
    reported_at: float
    documents: int
    peak_rss_bytes: int

    @property
    def worker_id(self) -> str:
        """The id of the worker that this process belongs to."""
        return self.name.rpartition(":")[0]
