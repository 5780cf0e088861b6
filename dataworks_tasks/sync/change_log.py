"""The keys that changed since a run began, kept at its target.

Entries are windows, in the order of reading. What is captured while the copy runs waits here, so
reading the source's changes never waits for the copy, and the ledger stays small. At the cut-over
it is the list of everything that changed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bson.binary import Binary
from pymongo.write_concern import WriteConcern

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classified
from dataworks_tasks.store.retrying import retry_transient

_ENTRIES_AT_ONCE = 8
"""2 MB at most: a small account accepts them in one write."""
_PREFIX = "dataworks.changes."


def change_log_namespace(spec: RunSpec) -> Namespace:
    """Return the namespace of a run's change log, in its first target's database."""
    job = spec.data_job
    if not isinstance(job, MigrationJob):
        raise TypeError(f"{spec.run_id} does not follow its source")
    return Namespace(job.namespaces[0].target.database, f"{_PREFIX}{spec.run_id}")


class ChangeLog:
    """Appends entries and reads them back; an entry counts once the run's place says so.

    Entries of a reader that lost its lease may be among those of others. They do no harm: their
    keys are reconciled once more.
    """

    def __init__(self, target: BaseDatabaseClient, namespace: Namespace) -> None:
        self._target, self.namespace = target, namespace
        self._nonce = secrets.token_hex(4)

    def append(self, first: int, windows: Sequence[bytes]) -> None:
        """Store ``windows`` durably as the entries from number ``first`` on."""
        for start in range(0, len(windows), _ENTRIES_AT_ONCE):
            some = windows[start : start + _ENTRIES_AT_ONCE]
            retry_transient(lambda some=some, at=first + start: self._insert(at, some))  # type: ignore[misc]

    def _insert(self, first: int, windows: Sequence[bytes]) -> None:
        entries = [
            {"_id": f"{number:016x}-{self._nonce}-{secrets.token_hex(2)}", "w": Binary(window)}
            for number, window in enumerate(windows, first)
        ]
        with classified():
            self._documents(WriteConcern("majority")).insert_many(entries)

    def read(self, first: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Yield the entries ``[first, stop)``, in order."""
        query = {"_id": {"$gte": f"{first:016x}", "$lt": f"{stop:016x}"}}
        yield from retry_transient(lambda: self._found(query))

    def _found(self, query: Mapping[str, Any]) -> list[tuple[int, bytes]]:
        with classified():
            found = self._documents().find(query, sort=[("_id", 1)])
            return [(int(each["_id"][:16], 16), bytes(each["w"])) for each in found]

    def drop(self) -> None:
        """Drop the log."""
        self._target.drop(self.namespace)

    def _documents(self, concern: WriteConcern | None = None) -> Any:
        return self._target.collection(self.namespace, committed=True).with_options(
            write_concern=concern
        )
