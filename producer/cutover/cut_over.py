"""Cut a migration over: stop, drain, check, complete. Each step may be killed and repeated."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from threading import Event
from typing import Any

from bson.timestamp import Timestamp

from dataworks_tasks.documents.raw_bson import shown_value
from dataworks_tasks.errors import (
    DataWorksError,
    LedgerUnavailable,
    RunFailed,
    TerminalError,
    UsageError,
)
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.ledger.heartbeat import LEASE_SECONDS
from dataworks_tasks.ledger.history import RunEvent
from dataworks_tasks.ledger.key_windows import Append, Place
from dataworks_tasks.migrate.collection_options import is_gone, remove_validation
from dataworks_tasks.migrate.copy_indexes import RefusedIndex, copy_indexes
from dataworks_tasks.migrate.finish_migration import finish_migration
from dataworks_tasks.migrate.index_notes import refused_of_position
from dataworks_tasks.migrate.read_indexes import read_indexes
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.monitor.standstill import cause_of_standstill
from dataworks_tasks.numerals import counted
from dataworks_tasks.plugins import load_plugins
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.rate_limits.run_reads import source_read_limiter
from dataworks_tasks.runs.choices import IndexPolicy
from dataworks_tasks.runs.lease import StopSignal
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.scan.final_collections import record_final_collections
from dataworks_tasks.store.bounded_reads import now_at
from dataworks_tasks.sync.change_log import ChangeLog, change_log_namespace
from dataworks_tasks.sync.delete_scan import DeleteScan, note_scan
from dataworks_tasks.sync.follow_place import PLACE, TARGET, FollowPlace
from dataworks_tasks.sync.key_window import KeyWindow
from dataworks_tasks.sync.later_collections import later_collections, spec_with_later, take_in
from dataworks_tasks.sync.open_changes import has_bounded_reads, has_deletes
from dataworks_tasks.worker.finish_lease import HeldFinishLease, LeaseHeld
from producer.connections import Connections
from producer.cutover.block_writes import ALLOW_WRITES, CannotBlock, allow_writes, block_writes
from producer.cutover.built_indexes import BuiltIndexes
from producer.cutover.changed_keys import verify_changed
from producer.cutover.checklist import checklist
from producer.cutover.cut_over_request import CutOverRequest
from producer.cutover.drain import Backlog, drain
from producer.cutover.end_cut_over import end_cut_over
from producer.cutover.source_collections import as_it_is_now, drop_what_is_gone
from producer.cutover.target_position import target_position
from producer.doctor.check import Check

_LOOK_SECONDS = 0.2
_LONGEST_SECONDS = 24 * 3600.0
_SHOW_SECONDS = 2.0
_QUIET_WHILE_BLOCKED_SECONDS = 2.0


class StillWriting(TerminalError):
    """Somebody wrote to the source after its writers should have stopped."""


class CutOver:
    """One cut-over of one run; ``say`` shows a line to a person.

    ``verify_full`` compares both sides completely and returns how many documents differ.
    """

    def __init__(
        self,
        connections: Connections,
        spec: RunSpec,
        request: CutOverRequest,
        say: Callable[[str], None],
        verify_full: Callable[[], int],
    ) -> None:
        if not isinstance(spec.job, MigrationJob) or spec.job.follow is None:
            raise UsageError(
                f"{spec.run_id} does not follow its source, so there is nothing to cut over",
                "Start one that does: dataworks migrate ... --follow",
            )
        load_plugins(connections.config.plugins)  # the run's strategy may come from a plugin
        self._connections, self._spec, self._job = connections, spec, spec.job
        self._request, self._say, self._verify_full = request, say, verify_full
        self._ledger, self._run_id = connections.ledger, spec.run_id
        self._shown_at = 0.0
        self._is_completing = False
        self._built = BuiltIndexes(connections, spec.run_id)

    def checks(self) -> list[Check]:
        """Do step 1: check what has to be right before anybody stops writing."""
        request = self._request
        found = checklist(
            self._connections,
            self._spec,
            block_writes=request.block_writes,
            accept_failures=request.accept_failures,
            verify=request.verify,
        )
        checks = list(found)
        command = request.with_what_is_needed(checks).command(self._run_id)
        return [
            replace(each, remedy=f"{each.remedy} {command}") if each.needs and not each.ok else each
            for each in checks
        ]

    def gone_collections(self) -> list[NamespacePair]:
        """Return the run's collections that the source no longer has."""
        source = self._connections.source
        return [pair for pair in self._job.namespaces if is_gone(source, pair.source)]

    def run(self) -> bool:
        """Do steps 2 to 10; return False if another cut-over has completed the run meanwhile.

        After an error the run continues to follow, and this can be repeated.
        """
        with self._lease() as lease:
            failpoint("cut-over-lease.after")
            if end_cut_over(self._connections, self._spec):
                return False  # by the one that had the lease before
            self._record("cut-over began")
            self._take_in_later()
            self._build_what_may_be_there(lease)
            with self._writes_stopped() as barrier:
                failpoint("cut-over-stop.after")
                self._take_in_later()
                drained = self._drained(barrier)
                self._record("cut-over: all changes are at the target")
                failpoint("cut-over-drain.after")
                drained = self._quiet(drained)
                if not has_deletes(self._connections.source):
                    drained = self._deletions_found(drained)
                self._record("cut-over: nobody wrote to the source any more")
                failpoint("cut-over-quiet.after")
                self._verify()
                failpoint("cut-over-verify.after")
                with self._validators_set():
                    self._build_the_rest(lease)
                    self._record("cut-over: indexes and validators match the source")
                    failpoint("cut-over-indexes.after")
                    self._complete(drained)
        return True

    @contextmanager
    def _lease(self) -> Iterator[HeldFinishLease]:
        """Hold the lease: one cut-over at a time; a killed one keeps its lease for some seconds."""
        stop = StopSignal(time.monotonic() + _LONGEST_SECONDS)
        holder = f"cutover:{socket.gethostname()}:{os.getpid()}"
        until = time.monotonic() + LEASE_SECONDS + _LOOK_SECONDS
        said = False
        with ExitStack() as stack:
            while True:
                lease = HeldFinishLease(self._ledger, self._run_id, holder, stop)
                try:
                    stack.enter_context(lease)
                except LeaseHeld:
                    if time.monotonic() >= until:
                        raise UsageError(
                            f"another process is cutting over {self._run_id}",
                            f"See its progress: dataworks status {self._run_id}",
                        ) from None
                    if not said:
                        self._say("waiting for another cut-over of this run, or for its lease")
                    said = True
                    Event().wait(_LOOK_SECONDS)
                    continue
                lease.note("")  # indexes that an earlier cut-over could not build are tried again
                yield lease
                return

    def _record(self, step: str) -> None:
        """Record that a step is done, for the run's page and its report."""
        event = RunEvent(self._ledger.key_windows.now(), f"cutover on {socket.gethostname()}", step)
        self._ledger.history.record_event(self._run_id, event)

    def _take_in_later(self) -> None:
        """Follow collections that were created since; from now on they belong to the run."""
        connections = self._connections
        if take_in(self._ledger, self._spec, connections.source, connections.target):
            self._say("collections that were created after the start are followed")
        self._spec, _ = spec_with_later(self._ledger, self._run_id)
        if isinstance(self._spec.job, MigrationJob):
            self._job = self._spec.job

    def _build_what_may_be_there(self, lease: HeldFinishLease) -> None:
        """Build the indexes that do no harm while writers write: less is left for later."""
        if self._job.indexes is IndexPolicy.NONE:
            return
        source, target = self._connections.source, self._connections.target
        job = as_it_is_now(source, self._job)
        self._drop_outdated_indexes(job)
        self._built.note(job)
        for pair in job.namespaces:
            copy = copy_indexes(source, target, pair, lease, wanted=_hinders_nobody)
            if copy.built:
                self._say(f"{pair.target}: built {', '.join(copy.built)}")
            self._refuse_indexes(copy.refused)

    def _build_the_rest(self, lease: HeldFinishLease) -> None:
        """Do step 8. Raises RunFailed when an index cannot be built."""
        self._say("building unique and TTL indexes, setting validators")
        for name in drop_what_is_gone(self._connections, self._job):
            self._say(f"dropped {name}, as at the source")
        job = as_it_is_now(self._connections.source, self._job)
        self._drop_outdated_indexes(job)
        if not finish_migration(self._context(), job, self._guards(), lease):
            raise RunFailed(
                "the lease of the cut-over was lost",
                f"Repeat it: {self._request.command(self._run_id)}",
            )
        self._refuse_indexes(refused_of_position(lease.position))

    @contextmanager
    def _validators_set(self) -> Iterator[None]:
        """Remove the validators again if the run is not complete at the end.

        It follows the source then, which may hold documents that they refuse.
        """
        try:
            yield
        except BaseException:
            if not self._has_completed():
                for pair in self._job.namespaces:
                    remove_validation(self._connections.source, self._connections.target, pair)
            raise

    def _has_completed(self) -> bool:
        """Return whether the run is complete, also if its last step was interrupted.

        If Redis does not say so, nothing is undone: the repeated command completes the rest.
        """
        if not self._is_completing:
            return False
        try:
            return self._ledger.state(self._run_id) is RunState.COMPLETE
        except LedgerUnavailable:
            repeat = self._request.command(self._run_id)
            self._say(f"Redis does not say whether the run is complete. Repeat: {repeat}")
            return True

    def _drop_outdated_indexes(self, job: MigrationJob) -> None:
        """Drop what an earlier cut-over built, and what the source has changed or dropped since."""
        for line in self._built.drop_outdated(job):
            self._say(line)

    def _refuse_indexes(self, refused: Sequence[RefusedIndex]) -> None:
        if not refused or self._request.accept_failures:
            return
        first, request = refused[0], self._request
        without = replace(request, accept_failures=True)
        raise RunFailed(
            f"{first.namespace}: {first}",
            f"Correct that at the source or the target, then: {request.command(self._run_id)}; "
            f"or cut over without it: {without.command(self._run_id)}, and build it later: "
            f"dataworks indexes {self._run_id}",
        )

    @contextmanager
    def _writes_stopped(self) -> Iterator[Timestamp]:
        """Do step 2: block the source's writes, or ask for it; return a position after that.

        A cut-over that fails removes the block.
        """
        source = self._connections.source
        if not self._request.block_writes:
            self._say("stop your writers now")
            self._record("cut-over: writers were asked to stop")
            yield self._position()
            return
        self._say("blocking writes to the source; open transactions may take a minute")
        try:
            block_writes(source)
            self._say("writes to the source are blocked")
            self._record("cut-over: writes to the source are blocked")
            yield self._position()
        except CannotBlock:
            raise
        except BaseException:
            if not self._has_completed():
                self._allow_writes()
            raise

    def _allow_writes(self) -> None:
        """Remove the block. A server that is still about to block waits for transactions first."""
        try:
            allow_writes(self._connections.source)
        except DataWorksError as error:
            self._say(f"writes to the source are still blocked: {error}. Then: {ALLOW_WRITES}")
        except BaseException:
            self._say(f"writes to the source may still be blocked; allow them: {ALLOW_WRITES}")
            raise
        else:
            self._say("the cut-over did not finish: writes to the source are allowed again")

    def _position(self) -> Timestamp:
        """Return a source position after now, by the ledger's clock if the source has none."""
        position = now_at(self._connections.source)
        return position or Timestamp(int(self._ledger.key_windows.now()) + 1, 0)

    def _drained(self, barrier: Timestamp) -> Backlog:
        """Do steps 3 and 4: take a position after the writers stopped, and drain up to it."""
        return drain(self._ledger, self._run_id, barrier, self._show, self._still_changed)

    def _deletions_found(self, drained: Backlog) -> Backlog:
        """Do step 6: search for deletions that the source's changes do not report."""
        self._say("looking for documents that the source no longer has")
        connections, windows = self._connections, self._ledger.key_windows
        began = f"{windows.now():.0f}"
        source = connections.source
        limiter = source_read_limiter(self._ledger, self._spec, source)
        scan = DeleteScan(
            source, connections.target, self._job.namespaces, windows, self._run_id, limiter
        )
        for _ in scan.run():
            pass
        note_scan(windows, self._run_id, began)
        return drain(self._ledger, self._run_id, drained.time, self._show, self._still_changed)

    def _still_changed(self, before: Backlog, after: Backlog) -> None:
        places = (FollowPlace.from_bytes(each.place) for each in (before, after))
        self._refuse_writers(*places)

    def _show(self, left: Backlog) -> None:
        now = time.monotonic()
        if now - self._shown_at >= _SHOW_SECONDS:
            self._shown_at = now
            what = (
                "waiting until the newest changes are read"
                if left.is_empty
                else f"left to reconcile: {left}"
            )
            cause = cause_of_standstill(self._ledger, self._ledger.progress(self._run_id))
            self._say(f"{what} ({cause})" if cause else what)

    def _quiet(self, drained: Backlog) -> Backlog:
        """Do step 5: wait for a long enough time without writes.

        Raises StillWriting, naming the last key.
        """
        seconds = self._request.quiet_seconds
        if self._request.block_writes:
            # No transaction is open any more. Users with bypassWriteBlockingMode can still write
            seconds = min(seconds, _QUIET_WHILE_BLOCKED_SECONDS)
        if seconds <= 0:
            return drained
        self._say(f"watching the source for {seconds:.0f} s: nobody may write to it")
        before = FollowPlace.from_bytes(drained.place)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            place = FollowPlace.from_bytes(self._ledger.key_windows.place(self._run_id, PLACE))
            if place.logged > before.logged:
                self._refuse_writers(before, place)
                before = place
            Event().wait(_LOOK_SECONDS)
        drained = self._drained(self._position())
        after = FollowPlace.from_bytes(drained.place)
        if after.logged > before.logged:
            self._refuse_writers(before, after)
        return drained

    def _refuse_writers(self, before: FollowPlace, after: FollowPlace) -> None:
        """Raise StillWriting unless only a TTL index deleted documents."""
        source, pairs = self._connections.source, self._followed_now()
        log = ChangeLog(self._connections.target, change_log_namespace(self._spec))
        for _, entry in log.read(before.logged, after.logged):
            window = KeyWindow.from_bytes(entry)
            namespace = pairs[window.pair].source
            expires = any("expireAfterSeconds" in i for i in read_indexes(source, namespace))
            there = source.fetch(namespace, window.keys)
            if expires and not there:
                continue
            raise StillWriting(
                f"somebody still writes to {namespace}, last to {shown_value(window.keys[-1])}",
                f"Stop that writer, then: {self._request.command(self._run_id)}",
            )

    def _verify(self) -> None:
        """Do step 7. Raises RunFailed when anything differs."""
        verify = self._request.verify
        if not has_bounded_reads(self._connections.source):
            verify = "full"
        if verify == "none":
            self._record("cut-over: nothing was compared")
            return
        if verify == "full":
            different, what = self._verify_full(), "documents differ"
        else:
            self._say("comparing every key that changed")
            different, first = verify_changed(self._context(), self._job)
            what = "changed keys differ"
            if first is not None:
                what += f", such as {first.document_id} of {first.namespace}: {first.reason}"
        if different:
            raise RunFailed(
                f"{different:,} {what}",
                f"Repair them: dataworks verify {self._run_id} --live --repair --delete-extra",
            )
        compared = "both sides" if verify == "full" else "every key that changed"
        failures = self._ledger.progress(self._run_id).failures
        besides = f" besides {counted(failures, 'failure')} on record" if failures else ""
        self._record(f"cut-over: compared {compared}, no difference{besides}")

    def _complete(self, drained: Backlog) -> None:
        """Do steps 9 and 10: record the position, close the plan and complete, in one step."""
        target, source = self._connections.target, self._connections.source
        self._refuse_new_collections()
        self._record_target()
        record_final_collections(self._ledger, self._spec, target, source)
        for _ in range(100):
            failpoint("cut-over-complete.before")
            self._is_completing = True
            if self._ledger.key_windows.complete(self._run_id, PLACE, drained.place):
                self._record("cut-over complete")
                failpoint("cut-over-complete.after")
                ChangeLog(self._connections.target, change_log_namespace(self._spec)).drop()
                return
            before = drained
            drained = drain(
                self._ledger, self._run_id, before.time, self._show, self._still_changed
            )
            # Nothing compares what changes now, and new collections would have no indexes.
            self._still_changed(before, drained)
            self._refuse_new_collections()
        raise StillWriting(
            "the source keeps changing",
            f"Stop its writers, then: {self._request.command(self._run_id)}",
        )

    def _followed_now(self) -> tuple[NamespacePair, ...]:
        """Return the run's collections with those that the reader has added meanwhile."""
        job = spec_with_later(self._ledger, self._run_id)[0].job
        return job.namespaces if isinstance(job, MigrationJob) else ()

    def _refuse_new_collections(self) -> None:
        """Raise StillWriting if collections were created since the writers should have stopped."""
        target, source = self._connections.target, self._connections.source
        new = [
            *self._followed_now()[len(self._job.namespaces) :],
            *(each.pair for each in later_collections(source, target, self._job)
              if not each.problem),
        ]  # fmt: skip
        if new:
            raise StillWriting(
                f"somebody created {new[0].source}",
                f"Stop that writer, then: {self._request.command(self._run_id)}",
            )

    def _record_target(self) -> None:
        """Record the target's position, if it has one: a reversed run begins there."""
        windows = self._ledger.key_windows
        place = target_position(self._connections.target, self._job, windows.now)
        if place is not None:
            kept = windows.place(self._run_id, TARGET)
            windows.append(self._run_id, Append(place=Place(TARGET, kept, place.to_bytes())))

    def _context(self) -> RunContext:
        connections = self._connections
        return RunContext(
            self._spec, connections.config, self._ledger, connections.target, connections.source
        )

    def _guards(self) -> RunGuards:
        return RunGuards(
            self._spec,
            self._connections.config,
            self._connections.source,
            self._connections.target,
        )


def _hinders_nobody(index: Mapping[str, Any]) -> bool:
    """Return whether an index may exist while documents are reconciled in any order."""
    return not index.get("unique") and "expireAfterSeconds" not in index
