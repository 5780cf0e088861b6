"""Compare every key that changed since a run began, on both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from dataworks_tasks.documents.raw_bson import Element, element_bytes
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.retrying import retry_transient
from dataworks_tasks.sync.change_log import ChangeLog, change_log_namespace
from dataworks_tasks.sync.deadly_keys import deadly_keys, without_deadly
from dataworks_tasks.sync.follow_place import PLACE, FollowPlace
from dataworks_tasks.sync.key_window import KeyWindow
from dataworks_tasks.sync.reconcile import KeyRoute
from dataworks_tasks.sync.routes import migration_routes
from dataworks_tasks.sync.still_different import still_different

_ENTRIES_AT_ONCE = 64
_KEYS_AT_ONCE = 1000
_MOST_BYTES = 256 << 20
_BYTES_A_KEY = 150
"""Of a key in a set of tuples, in addition to its own bytes."""


def verify_changed(context: RunContext, job: MigrationJob) -> tuple[int, DocumentFailure | None]:
    """Return how many of the keys in the run's change log differ, and the first of them.

    Transient errors are retried: a lost connection must not end a cut-over. Documents
    that kill every worker are left out: they are failures of the run, and would end this process.
    """
    routes = migration_routes(context, job)
    deadly = deadly_keys(context.ledger, context.spec.run_id)
    different: int = 0
    first: DocumentFailure | None = None
    for pair, changed in _changed_keys(context):
        keys = without_deadly(changed, deadly.get(str(routes[pair].target.namespace), set()))
        failures = retry_transient(partial(_compare, routes[pair], keys))
        different += len(failures)
        first = first or next(iter(failures), None)
    return different, first


def _compare(route: KeyRoute, keys: Sequence[Element]) -> list[DocumentFailure]:
    return list(still_different(route, keys))


def _changed_keys(context: RunContext) -> Iterator[tuple[int, list[Element]]]:
    """Yield the keys of one collection at a time, each once as far as memory allows."""
    run_id, seen = context.spec.run_id, _SeenKeys()
    place = FollowPlace.from_bytes(context.ledger.key_windows.place(run_id, PLACE))
    log = ChangeLog(context.target, change_log_namespace(context.spec))
    for first in range(0, place.logged, _ENTRIES_AT_ONCE):
        new: dict[int, list[Element]] = {}
        for _, entry in log.read(first, min(first + _ENTRIES_AT_ONCE, place.logged)):
            window = KeyWindow.from_bytes(entry)
            keys = [key for key in window.keys if seen.add(window.pair, key)]
            new.setdefault(window.pair, []).extend(keys)
        for pair, several in new.items():
            for start in range(0, len(several), _KEYS_AT_ONCE):
                yield pair, several[start : start + _KEYS_AT_ONCE]


class _SeenKeys:
    """The keys that are compared already, while writers wait for the end of the cut-over.

    A run that follows for days logs most keys many times. When the keys take too much memory, all
    are forgotten, and some are compared twice.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._seen: set[tuple[int, bytes]] = set()
        self._most_bytes = most_bytes
        self._bytes = 0

    def add(self, pair: int, key: Element) -> bool:
        """Return whether the key is new."""
        name = (pair, element_bytes(key))
        if name in self._seen:
            return False
        self._bytes += len(name[1]) + _BYTES_A_KEY
        if self._bytes > self._most_bytes:
            self._seen.clear()
            self._bytes = len(name[1]) + _BYTES_A_KEY
        self._seen.add(name)
        return True
