"""Whether the source's change history reaches back for as long as a copy takes."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import TransientError
from dataworks_tasks.numerals import plain
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.client import BaseDatabaseClient

log = logging.getLogger(__name__)

SAFE_HISTORY = 3.0
"""The history should be this many times as long as the copy: more writes shorten it."""
_READ_SECONDS = 0.3
_READ_DOCUMENTS = 10_000


@dataclass(frozen=True, slots=True)
class HistoryWindow:
    """How far a change history reaches back.

    ``is_growing``: nothing was removed from it yet, so it will reach back further.
    """

    seconds: float
    is_growing: bool


def history_seconds(client: BaseDatabaseClient) -> float | None:
    """Return how far a history that is full reaches back; None if unknown, or still growing."""
    window = history_window(client)
    return None if window is None or window.is_growing else window.seconds


def history_window(client: BaseDatabaseClient) -> HistoryWindow | None:
    """Return how far the server's change history reaches back; None if unknown.

    Only some users may read that. Azure's services have no oplog.
    """
    if not client.capabilities.majority_reads:
        return None
    entries = client.mongo["local"]["oplog.rs"]
    try:
        first, last = (
            entries.find_one({}, {"ts": 1}, sort=[("$natural", direction)]) for direction in (1, -1)
        )
        if not first or not last:
            return None
        is_growing = _is_still_growing(client)
    except PyMongoError:
        return None
    return HistoryWindow(float(last["ts"].time - first["ts"].time), is_growing)


def _is_still_growing(client: BaseDatabaseClient) -> bool:
    """Return whether nothing of the history was ever removed: then its length says nothing."""
    stats = client.mongo["local"].command("collStats", "oplog.rs")
    return float(stats["size"]) < 0.9 * float(stats["maxSize"])


def warn_of_short_history(
    source: BaseDatabaseClient, job: MigrationJob, max_rate: float | None = None
) -> None:
    """Log a warning, with both figures, if the history may be lost before the copy is done.

    ``max_rate``: documents per second of the run, however many processes copy.
    """
    window = history_seconds(source)
    if window is None:
        return
    counts = {pair.source: source.estimated_count(pair.source) for pair in job.namespaces}
    copy, how = _copy_seconds(source, counts), "with one process"
    remedy = "run more workers"
    if max_rate and sum(counts.values()) / max_rate > copy:
        copy, how = sum(counts.values()) / max_rate, f"with --max-rate {plain(max_rate)}"
        remedy = "give a higher --max-rate"
    if window < SAFE_HISTORY * copy:
        log.warning(
            "the source's change history reaches back %s, and copying takes about %s %s: changes "
            "may be lost before they are read. Enlarge it "
            "(db.adminCommand({replSetResizeOplog: 1, size: MEGABYTES})), or %s",
            _shown(window),
            _shown(copy),
            how,
            remedy,
        )


def _copy_seconds(source: BaseDatabaseClient, counts: Mapping[Namespace, int]) -> float:
    """Return how long one process takes to read all collections, at the rate of the largest one."""
    largest = max(counts, key=lambda namespace: counts[namespace])
    began, read = time.monotonic(), 0
    try:
        for page in source.find_raw(largest, {}, limit=_READ_DOCUMENTS, batch_size=1000):
            read += len(EncodedBatch.parse(page))
            if time.monotonic() - began > _READ_SECONDS:
                break
    except TransientError:  # a cut cursor: what was read by then is a sample too
        if not read:
            raise
    seconds = time.monotonic() - began
    return sum(counts.values()) * seconds / read if read else 0.0


def _shown(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"
