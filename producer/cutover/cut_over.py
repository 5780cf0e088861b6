"""Cut a migration over: stop, drain, check, complete. Each step may be killed and repeated."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from bson.timestamp import Timestamp

from dataworks_tasks.documents.raw_bson import shown_value
from dataworks_tasks.errors import RunFailed, TerminalError, UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.migrate.copy_indexes import read_indexes
from dataworks_tasks.migrate.finish_migration import finish_migration
from dataworks_tasks.migrate.run_guards import RunGuards
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.lease import StopSignal
from dataworks_tasks.runs.spec import MigrationJob, RunSpec
from dataworks_tasks.store.bounded_reads import now_at
from dataworks_tasks.sync.change_log import ChangeLog, change_log_namespace
from dataworks_tasks.sync.follow_place import PLACE, FollowPlace
from dataworks_tasks.sync.key_window import KeyWindow
from dataworks_tasks.worker.finish_lease import HeldFinishLease
from producer.connections import Connections
from producer.cutover.changed_keys import verify_changed
from producer.cutover.checklist import checklist
from producer.cutover.drain import Backlog, drain
from producer.doctor.check import Check

OUTSIDE_OPEN_TRANSACTIONS_SECONDS = 65.0
"""A transaction that is open when the writers stop commits up to 60 s later."""
_LOOK_SECONDS = 0.2
_LONGEST_SECONDS = 24 * 3600.0
_SHOW_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class CutOverRequest:
    """How to cut over. ``verify``: changed, full or none. ``quiet_seconds``: without block."""

    verify: str = "changed"
    quiet_seconds: float = OUTSIDE_OPEN_TRANSACTIONS_SECONDS
    block_writes: bool = False
    accept_failures: bool = False


class StillWriting(TerminalError):
    """Somebody wrote to the source after its writers were to stop."""


class CutOver:
    """One cut-over of one run; ``say`` shows a line to a person.

    ``verify_full`` compares all of both sides and says how many documents differ.
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
        self._connections, self._spec, self._job = connections, spec, spec.job
        self._request, self._say, self._verify_full = request, say, verify_full
        self._ledger, self._run_id = connections.ledger, spec.run_id
        self._shown_at = 0.0

    def checks(self) -> list[Check]:
        """Step 1: what has to be right before anybody stops writing."""
        request = self._request
        return list(
            checklist(
                self._connections,
                self._spec,
                block_writes=request.block_writes,
                accept_failures=request.accept_failures,
            )
        )

    def run(self) -> None:
        """Steps 2 to 10. Raises what stopped it; the run follows on, and it can be repeated."""
        stop = StopSignal(time.monotonic() + _LONGEST_SECONDS)
        holder = f"cutover:{socket.gethostname()}:{os.getpid()}"
        with (
            HeldFinishLease(self._ledger, self._run_id, holder, stop) as lease,
            self._writes_stopped(),
        ):
            drained = self._drained()
            if not self._request.block_writes:
                drained = self._quiet(drained)
            self._verify()
            self._say("building unique and TTL indexes, setting validators")
            if not finish_migration(self._context(), self._job, self._guards(), lease):
                raise RunFailed(
                    "the lease of the cut-over was lost",
                    f"Repeat it: dataworks cutover {self._run_id}",
                )
            self._complete(drained)

    @contextmanager
    def _writes_stopped(self) -> Iterator[None]:
        """Step 2: block the source's writes, or ask for it. A failed cut-over unblocks them."""
        if not self._request.block_writes:
            self._say("stop your writers now")
            yield
            return
        self._block(True)
        self._say("writes to the source are blocked")
        try:
            yield
        except BaseException:
            self._block(False)
            self._say("the cut-over did not finish: writes to the source are allowed again")
            raise

    def _block(self, blocked: bool) -> None:
        command = {"setUserWriteBlockMode": 1, "global": blocked}
        self._connections.source.command("admin", command)

    def _drained(self) -> Backlog:
        """Steps 3 and 4: a position after the writers stopped, and everything up to it."""
        barrier = now_at(self._connections.source)
        if barrier is None:
            raise RunFailed("the source has no positions", "Follow a replica set")
        return drain(self._ledger, self._run_id, barrier, self._show, self._still_changed)

    def _still_changed(self, before: Backlog, after: Backlog) -> None:
        places = (FollowPlace.from_bytes(each.place) for each in (before, after))
        self._refuse_writers(*places)

    def _show(self, left: Backlog) -> None:
        now = time.monotonic()
        if now - self._shown_at >= _SHOW_SECONDS:
            self._shown_at = now
            self._say(f"left to reconcile: {left}")

    def _quiet(self, drained: Backlog) -> Backlog:
        """Step 5: nothing is written for long enough. Raises StillWriting, naming the last key."""
        seconds = self._request.quiet_seconds
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
        drained = self._drained()
        after = FollowPlace.from_bytes(drained.place)
        if after.logged > before.logged:
            self._refuse_writers(before, after)
        return drained

    def _refuse_writers(self, before: FollowPlace, after: FollowPlace) -> None:
        """Raise StillWriting unless only a TTL index deleted documents."""
        source = self._connections.source
        log = ChangeLog(self._connections.target, change_log_namespace(self._spec))
        for entry in log.read(before.logged, after.logged):
            window = KeyWindow.from_bytes(entry)
            namespace = self._job.namespaces[window.pair].source
            expires = any("expireAfterSeconds" in i for i in read_indexes(source, namespace))
            there = source.fetch(namespace, window.keys)
            if expires and not there:
                continue
            raise StillWriting(
                f"somebody still writes to {namespace}, last to {shown_value(window.keys[-1])}",
                f"Stop that writer, then: dataworks cutover {self._run_id}",
            )

    def _verify(self) -> None:
        """Step 7. Raises RunFailed when anything differs."""
        if self._request.verify == "none":
            return
        if self._request.verify == "full":
            different, where = self._verify_full(), "documents differ"
        else:
            self._say("comparing every key that changed")
            different, where = verify_changed(self._context(), self._job), "changed keys differ"
        if different:
            raise RunFailed(
                f"{different:,} {where}",
                f"Repair them: dataworks verify {self._run_id} --live --repair --delete-extra",
            )

    def _complete(self, drained: Backlog) -> None:
        """Steps 9 and 10: record where the target is, close the plan and complete, in one step."""
        position = now_at(self._connections.target)
        if position is not None:
            self._record_target(position)
        for _ in range(100):
            if self._ledger.key_windows.complete(self._run_id, PLACE, drained.place):
                ChangeLog(self._connections.target, change_log_namespace(self._spec)).drop()
                return
            drained = drain(
                self._ledger, self._run_id, drained.time, self._show, self._still_changed
            )
        raise StillWriting(
            "the source keeps changing", f"Stop its writers: dataworks cutover {self._run_id}"
        )

    def _record_target(self, position: Timestamp) -> None:
        self._ledger.key_windows.note_target(self._run_id, position.time, position.inc)

    def _context(self) -> RunContext:
        connections = self._connections
        return RunContext(
            self._spec, connections.config, self._ledger, connections.target, connections.source
        )

    def _guards(self) -> RunGuards:
        return RunGuards(self._spec, self._connections.source, self._connections.target)


def is_cut_over(connections: Connections, run_id: str) -> bool:
    """Whether the run is complete already: a cut-over that was killed after its last step."""
    return connections.ledger.state(run_id) is RunState.COMPLETE
