"""Find what was deleted at a source whose change stream has no deletions.

The keys of the target are read in order, and each is looked up at the source. A key that it lacks
is reconciled like one that changed, so a document that comes back meanwhile stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, element_bytes, ids_filter
from dataworks_tasks.driver_step import Drive, DriverStep
from dataworks_tasks.ledger.contract import WORKING
from dataworks_tasks.ledger.key_windows import Append, KeyWindows, Place
from dataworks_tasks.rate_limits.reads import ReadRateLimiter
from dataworks_tasks.rate_limits.run_reads import source_read_limiter
from dataworks_tasks.runs.driver_steps import SCAN_DELETES, delete_scan_seconds
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.scan.read_slice import SliceSource, read_slice
from dataworks_tasks.scan.slice import EACH_TYPE_APART
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.retrying import retry_transient
from dataworks_tasks.sync.wanted import id_of, key_bytes
from dataworks_tasks.sync.window_work import hot_key

SCANNED = "delete_scan"
"""The name of the moment at which the last scan began."""
_KEYS_AT_ONCE = 1000
_ONLY_ID = {"_id": 1}
_NOT_COPIED_SECONDS = 2.0


class _Place(NamedTuple):
    """The position of a scan. ``after``: the last key of this type group that was looked up."""

    pair: int = 0
    group: int = 0
    after: Element | None = None

    @classmethod
    def read(cls, text: str) -> _Place:
        if not text:
            return cls()
        pair, group, key = text.split(" ")
        data = bytes.fromhex(key)
        return cls(int(pair), int(group), Element(data[0], b"_id", data[5:]) if data else None)

    def __str__(self) -> str:
        key = element_bytes(self.after, b"_id").hex() if self.after is not None else ""
        return f"{self.pair} {self.group} {key}"


@dataclass(frozen=True, slots=True)
class DeleteScan:
    """A scan of a run's collections. Keys that the source lacks go to the hot set."""

    source: BaseDatabaseClient
    target: BaseDatabaseClient
    pairs: Sequence[NamespacePair]
    windows: KeyWindows
    run_id: str
    limiter: ReadRateLimiter | None = None

    def run(self, position: str = "") -> Iterator[str]:
        """Scan from ``position`` on; yields the position after each page."""
        begin = _Place.read(position)
        for number in range(begin.pair, len(self.pairs)):
            first = begin.group if number == begin.pair else 0
            for group in range(first, len(EACH_TYPE_APART)):
                at = _Place(number, group)
                after = begin.after if (number, group) == begin[:2] else None
                for keys in self._target_keys(at, after):
                    self._reconcile(number, self._lacking(number, keys))
                    yield str(at._replace(after=keys[-1]))

    def _target_keys(self, at: _Place, after: Element | None) -> Iterator[list[Element]]:
        target = SliceSource(
            self.target,
            self.pairs[at.pair].target,
            batch_size=_KEYS_AT_ONCE,
            projection=_ONLY_ID,
        )
        for batch in read_slice(target, EACH_TYPE_APART[at.group], after):
            yield [id_of(document) for document in batch.documents()]

    def _lacking(self, pair: int, keys: Sequence[Element]) -> list[Element]:
        """Return those of ``keys`` for which the source has no document."""
        namespace, limiter = self.pairs[pair].source, self.limiter
        found: set[bytes] = set()
        size = limiter.max_documents(len(keys)) if limiter is not None else len(keys)
        for start in range(0, len(keys), size):
            some = keys[start : start + size]
            reserved = limiter.reserve(len(some), time.sleep) if limiter is not None else 0.0
            pages = retry_transient(lambda some=some: self._ids(pair, some))  # type: ignore[misc]
            found.update(key_bytes(each) for each in EncodedBatch.parse(pages).documents())
            if limiter is not None:
                limiter.record(reserved, pages, self.source.read_charge(namespace.database))
        return [key for key in keys if element_bytes(key, b"_id") not in found]

    def _ids(self, pair: int, keys: Sequence[Element]) -> bytes:
        found = self.source.find_raw(
            self.pairs[pair].source, ids_filter(keys), projection=_ONLY_ID, batch_size=len(keys)
        )
        return b"".join(found)

    def _reconcile(self, pair: int, keys: Sequence[Element]) -> None:
        self.windows.add_hot_keys(self.run_id, [(hot_key(pair, key), pair) for key in keys])


class ScanDeletes(DriverStep):
    """Scans for deletions at intervals; a driver step of runs that need it."""

    name = SCAN_DELETES

    def run(self, drive: Drive) -> float | None:
        run_id, windows = drive.spec.run_id, drive.ledger.key_windows
        if drive.ledger.state(run_id) not in WORKING:
            return None
        if not windows.is_copied(run_id):
            return _NOT_COPIED_SECONDS
        began, _, position = drive.lease.position.partition(";")
        began = began or f"{windows.now():.0f}"
        for at in delete_scan(drive, windows).run(position):
            drive.lease.note(f"{began};{at}")
            if drive.lease.reached:
                return 0.0
        drive.lease.note("")
        note_scan(windows, run_id, began)
        return delete_scan_seconds(drive.spec)


def delete_scan(drive: Drive, windows: KeyWindows) -> DeleteScan:
    """Return the scan of a run, as this process reaches its databases."""
    job = drive.spec.job
    if not isinstance(job, MigrationJob):
        raise TypeError(f"{drive.spec.run_id} is not a migration")
    source = drive.databases.source()
    return DeleteScan(
        source,
        drive.databases.target(),
        job.namespaces,
        windows,
        drive.spec.run_id,
        source_read_limiter(drive.ledger, drive.spec, source),
    )


def note_scan(windows: KeyWindows, run_id: str, began: str) -> None:
    """Record when the last scan began."""
    kept = windows.place(run_id, SCANNED)
    windows.append(run_id, Append(place=Place(SCANNED, kept, began.encode())))
