"""The work of a repair in one process: key windows of the differences that a verification found."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from threading import Event

from bson.timestamp import Timestamp

from dataworks_tasks.documents.raw_bson import Element, element_bytes
from dataworks_tasks.errors import SpecRefused, TransientError
from dataworks_tasks.generate.finish_generation import finish_generation
from dataworks_tasks.generate.generation_work import DOCUMENTS_PER_COMPARISON, PartSource
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.key_windows import Append, Place
from dataworks_tasks.migrate.document_change import unchanged
from dataworks_tasks.range_work import RangeWork, RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import FinishLease, StopSignal
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, RepairJob
from dataworks_tasks.store.bounded_reads import now_at
from dataworks_tasks.sync.change_log import ChangeLog, change_log_namespace
from dataworks_tasks.sync.deadly_keys import deadly_keys, isolate_window
from dataworks_tasks.sync.follow_place import PLACE, FollowPlace
from dataworks_tasks.sync.followed_looks import LOOKS, Looks, Mark
from dataworks_tasks.sync.key_window import KeyWindow
from dataworks_tasks.sync.listed_differences import ListedDifference, read_differences
from dataworks_tasks.sync.reconcile import KeyRoute
from dataworks_tasks.sync.routes import migration_routes
from dataworks_tasks.sync.server_keys import comparison_class
from dataworks_tasks.sync.still_different import still_different
from dataworks_tasks.sync.target_keys import TargetCollection
from dataworks_tasks.sync.wanted import GeneratedDocuments, SourceDocuments
from dataworks_tasks.sync.window_work import CompletedWindow, WindowRun, work_on_windows

_KEYS_AT_ONCE = 500
_DUE_AT_ONCE = 20
_LOOK_SECONDS = 0.25
_COMPARED = "compared "
"""The beginning of a position that counts the differences that were compared again."""


class RepairWork(RangeWork):
    """Reconciles what a verification listed, then compares exactly that again.

    ``sources``: what makes the documents of a generation run. Raises SpecRefused for a run that is
    not a repair, SettingsError when this process has no source for a migration.
    """

    def __init__(self, context: RunContext, sources: Sequence[PartSource] = ()) -> None:
        job = context.spec.job
        if not isinstance(job, RepairJob):
            raise SpecRefused(f"{context.spec.run_id} is not a repair")
        self._context, self._job, self._sources = context, job, tuple(sources)
        if isinstance(job.of, MigrationJob):
            self._routes = migration_routes(context, job.of, deletes=job.delete_extra)
        self._run = WindowRun(
            context, job.claims, self._route, followed=self._is_live, counter="documents"
        )

    def run(self, wanted: BatchRange, stop: StopSignal) -> Iterator[CompletedWindow]:
        windows = self._context.ledger.slices(self._context.spec.run_id, wanted)
        yield from work_on_windows(self._run, windows, stop)

    def isolate(self, number: int, deaths: int) -> CompletedWindow | None:
        """Take the key that kills workers out of window ``number``; see ``isolate_window``."""
        return isolate_window(self._run, number, deaths)

    def finish(self, lease: FinishLease) -> bool:
        """Compare what was listed again; what still differs becomes a failure of this run.

        Fields that a template computes from other collections are computed again.
        """
        context = self._context
        if not self._nothing_is_deferred(lease):
            return False
        if not self._compared(lease):
            return False
        asked = [
            (source.part.namespace, (), source.aggregations)
            for source in self._sources
            if source.aggregations
        ]
        return finish_generation(context, asked, lease)

    def close(self) -> None:
        """Do nothing: no resources are kept."""

    def _compared(self, lease: FinishLease) -> bool:
        """Compare what was listed, from the last turn's end; False when this turn is over."""
        position = lease.position
        if position and not position.startswith(_COMPARED):
            return True  # the position belongs to what comes after the comparison
        # In an order that the next turn finds again.
        differences = sorted(self._that_may_be_compared(), key=_name)
        for start in range(
            int(position.removeprefix(_COMPARED) or 0), len(differences), _KEYS_AT_ONCE
        ):
            if lease.reached:
                return False
            batch = differences[start : start + _KEYS_AT_ONCE]
            if self._is_live:
                failures = self._stays_different(start, batch, lease)
            else:
                failures = self._still_different(batch)
            if failures is None:
                return False
            if failures:
                self._context.ledger.record_failures(self._context.spec.run_id, failures)
            lease.note(f"{_COMPARED}{start + len(batch)}")
        lease.note("")
        return True

    def _that_may_be_compared(self) -> Iterator[ListedDifference]:
        """Yield what was listed, except for what kills workers, which stays a failure."""
        ledger = self._context.ledger
        deadly = deadly_keys(ledger, self._context.spec.run_id)
        for each in read_differences(ledger, self._job):
            of_collection = deadly.get(str(self._namespace(each.pair)), set())
            if element_bytes(each.key).hex() not in of_collection:
                yield each

    def _namespace(self, pair: int) -> Namespace:
        if self._sources:
            return self._sources[pair].part.namespace
        return self._routes[pair].target.namespace

    def _stays_different(
        self, start: int, batch: Sequence[ListedDifference], lease: FinishLease
    ) -> list[DocumentFailure] | None:
        """Return what differs although the following run has passed it; None: look again later."""
        ledger, followed = self._context.ledger, self._job.run_id
        kept = ledger.key_windows.place(self._context.spec.run_id, LOOKS)
        looks = Looks.from_bytes(kept) if kept else None
        if looks is None or looks.start != start:
            since = self._logged()
            failing = self._failing(batch)
            if not failing:
                return []
            first = dict.fromkeys(map(_name, failing), 1)
            self._keep(kept, Looks(start, since, self._mark(), first))
            return None
        mark = looks.mark.advanced(ledger, followed)
        if not mark.is_passed(ledger, followed):
            lease.show(lambda: f"waiting until {followed} has followed its source to here")
            self._keep(kept, replace(looks, mark=mark))
            Event().wait(_LOOK_SECONDS)
            return None
        failing = self._failing([each for each in batch if _name(each) in looks.keys])
        hot = {(pair, key[4:]) for key, pair in ledger.key_windows.hot_keys(followed).items()}
        changed = self._changed_since(looks.since, failing)
        left, stay = looks.after(self._mark(), map(_name, failing), changed, hot)
        failures = [failure for each, failure in failing.items() if _name(each) in stay]
        ledger.record_failures(self._context.spec.run_id, failures)
        if left.keys:
            self._keep(kept, left)
            return None
        return []

    def _logged(self) -> int:
        """Return how many entries the change log of the run that follows has."""
        kept = self._context.ledger.key_windows.place(self._job.run_id, PLACE)
        return FollowPlace.from_bytes(kept).logged if kept else 0

    def _changed_since(
        self, first: int, differences: Iterable[ListedDifference]
    ) -> set[tuple[int, bytes]]:
        """Return those with a captured change, from entry ``first`` of the log on."""
        named = {self._class(each.pair, each.key): _name(each) for each in differences}
        if not named:
            return set()
        namespace = change_log_namespace(self._context.ledger.spec(self._job.run_id))
        entries = ChangeLog(self._context.target, namespace).read(first, self._logged())
        windows = (KeyWindow.from_bytes(data) for _, data in entries)
        seen = {self._class(window.pair, key) for window in windows for key in window.keys}
        return {name for each, name in named.items() if each in seen}

    def _class(self, pair: int, key: Element) -> tuple[int, Hashable]:
        """Return the same value for keys that the source may consider equal, such as 1 and 1.0."""
        wanted = self._routes[pair].wanted if pair < len(self._routes) else None
        collated = isinstance(wanted, SourceDocuments) and wanted.collated
        return pair, comparison_class(key, collated=collated)

    def _failing(
        self, batch: Sequence[ListedDifference]
    ) -> dict[ListedDifference, DocumentFailure]:
        """Return the keys that differ now, each with its failure."""
        failures = {(each.namespace, each.bson_id): each for each in self._still_different(batch)}
        named = {each: self._record_name(each) for each in batch}
        return {each: failures[name] for each, name in named.items() if name in failures}

    def _record_name(self, difference: ListedDifference) -> tuple[str, str]:
        namespace = self._routes[difference.pair].target.namespace
        return str(namespace), element_bytes(difference.key).hex()

    def _keep(self, before: bytes, looks: Looks) -> None:
        """Record the keys that wait for another look, for the next turn."""
        moved = Append(place=Place(LOOKS, before, looks.to_bytes()))
        if self._context.ledger.key_windows.append(self._context.spec.run_id, moved) is None:
            raise TransientError("another process compares, or the repair has ended")

    def _mark(self) -> Mark:
        """Return the current moment of the source; by Redis' clock if the source has none."""
        source = self._context.source
        now = now_at(source) if source is not None else None
        if now is None:
            now = Timestamp(int(self._context.ledger.key_windows.now()) + 1, 0)
        return Mark(now)

    @property
    def _is_live(self) -> bool:
        """Whether the repaired run follows its source."""
        return isinstance(self._job.of, MigrationJob) and self._job.of.follow is not None

    def _nothing_is_deferred(self, lease: FinishLease) -> bool:
        """Append the windows that are due once more; return False while there are any."""
        windows, run_id = self._context.ledger.key_windows, self._context.spec.run_id
        while (status := windows.status(run_id)).deferred:
            left = status.deferred_until - windows.now()
            lease.show(lambda left=left: f"waiting {max(0, left):.0f} s for late writes")  # type: ignore[misc]
            if windows.append(run_id, Append(due=_DUE_AT_ONCE)):
                return False
            if lease.reached:
                return False
            Event().wait(min(max(left, 0.05), 1.0))
        return True

    def _still_different(self, batch: Sequence[ListedDifference]) -> list[DocumentFailure]:
        by_route: dict[tuple[int, int | None], list[Element]] = {}
        for difference in batch:
            by_route.setdefault((difference.pair, difference.first), []).append(difference.key)
        return [
            failure
            for (pair, index), keys in by_route.items()
            for failure in still_different(
                self._route(KeyWindow(pair, tuple(keys), index=index)),
                keys,
                self._left_out(pair),
                deletes=self._job.delete_extra,
                twice=True,
            )
        ]

    def _left_out(self, pair: int) -> Sequence[str]:
        """Return the fields that are computed later, from other collections."""
        if not self._sources:
            return ()
        return [aggregation.target for aggregation in self._sources[pair].aggregations]

    def _route(self, window: KeyWindow) -> KeyRoute:
        if not self._sources:
            return self._routes[window.pair]
        context, source = self._context, self._sources[window.pair]
        first = (window.index or source.part.first) - source.part.first
        last = min(first + DOCUMENTS_PER_COMPARISON, source.part.count)
        # A document that does not belong to the run should not exist.
        stop = first if window.index is None else last
        return KeyRoute(
            GeneratedDocuments(source.documents, source.part.namespace, first, stop),
            unchanged,
            TargetCollection(
                context.target,
                source.part.namespace,
                context.spec.write_concern,
                context.rate_limiter,
            ),
            bound=lambda: None,
            deletes=self._job.delete_extra,
        )


def _name(difference: ListedDifference) -> tuple[int, bytes]:
    return difference.pair, element_bytes(difference.key)
