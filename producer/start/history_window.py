"""Whether the source's change history reaches back for as long as a copy takes."""

from __future__ import annotations

import logging
import time

from pymongo.errors import PyMongoError

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import TransientError
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.client import BaseDatabaseClient

log = logging.getLogger(__name__)

SAFE_HISTORY = 3.0
"""The history should be this many times as long as the copy: more writes shorten it."""
_READ_SECONDS = 0.3
_READ_DOCUMENTS = 10_000


def history_seconds(client: BaseDatabaseClient) -> float | None:
    """Return how far the server's change history reaches back; None if unknown.

    Only some users may read that. A history that has not filled its space yet is still growing.
    """
    entries = client.mongo["local"]["oplog.rs"]
    try:
        first, last = (
            entries.find_one({}, {"ts": 1}, sort=[("$natural", direction)]) for direction in (1, -1)
        )
        if not first or not last or _is_still_growing(client):
            return None
    except PyMongoError:
        return None
    return float(last["ts"].time - first["ts"].time)


def _is_still_growing(client: BaseDatabaseClient) -> bool:
    """Return whether nothing of the history was ever removed: then its length says nothing."""
    stats = client.mongo["local"].command("collStats", "oplog.rs")
    return float(stats["size"]) < 0.9 * float(stats["maxSize"])


def warn_of_short_history(source: BaseDatabaseClient, job: MigrationJob) -> None:
    """Log a warning, with both figures, if the history may be lost before the copy is done."""
    window = history_seconds(source)
    if window is None:
        return
    copy = _copy_seconds(source, job)
    if window < SAFE_HISTORY * copy:
        log.warning(
            "the source's change history reaches back %s, and copying takes about %s with one "
            "process: changes may be lost before they are read. Enlarge it "
            "(db.adminCommand({replSetResizeOplog: 1, size: MEGABYTES})), or run more workers",
            _shown(window),
            _shown(copy),
        )


def _copy_seconds(source: BaseDatabaseClient, job: MigrationJob) -> float:
    """Return how long one process takes to read all collections, at the rate of the largest one."""
    counts = {pair.source: source.estimated_count(pair.source) for pair in job.namespaces}
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
