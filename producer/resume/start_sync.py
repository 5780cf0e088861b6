"""Follow the source of a complete migration, or the target of one that was cut over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson.timestamp import Timestamp

from dataworks_tasks.errors import TerminalError, UnknownName, UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.choices import OnDdl
from dataworks_tasks.runs.run_id import new_run_id
from dataworks_tasks.runs.spec import MigrationJob, RunKind, RunSpec
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_guard import server_process
from dataworks_tasks.sync.change_reader import HistoryLost
from dataworks_tasks.sync.follow_place import PLACE, TARGET, FollowPlace
from producer.connections import Connections
from producer.resume.continue_run import check_collections, continue_run
from producer.start.record_run import record_run
from producer.start.run_name import name_run
from producer.start.start_follow import follow_from
from producer.start.start_repair import RepairRequest, check_repairable
from producer.start.target_changes import changes_from

_WRITES_BLOCKED = 2
"""``repl.userWriteBlockMode`` of serverStatus while a cut-over's block is on."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """The request of a sync.

    ``reverse``: from the target back to the source. ``overwrite_changes``: continue even if others
    have changed the side that is written to; then everything is compared.
    """

    reverse: bool = False
    overwrite_changes: bool = False
    on_ddl: OnDdl = OnDdl.STOP


def start_sync(
    run_id: str,
    request: SyncRequest,
    connections: Connections,
    allow_writes: Callable[[BaseDatabaseClient], None],
) -> RunSpec:
    """Record a run that follows, or continue the existing one; return its spec.

    ``allow_writes`` removes the block of a cut-over: a reversed run writes to the old side.
    ``resync.is_resync_pending`` shows whether a run may have missed changes. Raises UsageError if
    following would be wrong or would undo what others wrote.
    """
    before = connections.ledger.spec(run_id)
    job = before.job
    if not isinstance(job, MigrationJob):
        raise UsageError(
            f"{run_id} is a {before.kind}, and only a migration has a source to follow",
            "List the migrations: dataworks runs",
        )
    name = f"{'reverse' if request.reverse else 'sync'}-{run_id}"
    known = _known(connections, name)
    if known is not None:
        return known
    if before.follows and not request.reverse and not _is_complete(connections, run_id):
        return continue_run(connections, run_id)  # it follows its source itself
    _check_state(connections, before, request)
    connections.check_servers(before)
    check_collections(connections, before)
    if request.reverse:
        spec = _reversed(connections, before, job, request)
    else:
        spec = _forward(connections, before, job, request)
    name_run(connections.ledger, spec, name)
    if request.reverse and _are_writes_blocked(connections.target):
        allow_writes(connections.target)  # since a cut-over with --block-writes
    record_run(connections.ledger, spec, None, connections.run_queue)
    return spec


def _known(connections: Connections, name: str) -> RunSpec | None:
    """Find the run that an earlier command started for this, and continue it; None if none."""
    ledger = connections.ledger
    run_id = ledger.named_run(name)
    if run_id is None:
        return None
    try:
        state = ledger.state(run_id)
    except UnknownName:
        return None
    if state is RunState.COMPLETE:
        raise UsageError(
            f"{run_id} followed already, and was cut over",
            f"Follow in the other direction: dataworks sync {run_id} --reverse",
        )
    return continue_run(connections, run_id)


def _is_complete(connections: Connections, run_id: str) -> bool:
    return connections.ledger.state(run_id) is RunState.COMPLETE


def _check_state(connections: Connections, before: RunSpec, request: SyncRequest) -> None:
    run_id, state = before.run_id, connections.ledger.state(before.run_id)
    if state is not RunState.COMPLETE:
        then = "cut it over first" if request.reverse else "continue it"
        command = "cutover" if request.reverse and before.follows else "resume"
        raise UsageError(
            f"run {run_id} is {state}, not complete: {then}", f"dataworks {command} {run_id}"
        )
    if request.reverse and not before.follows:
        raise UsageError(
            f"run {run_id} did not follow its source, so it has no cut-over to go back from",
            f"Follow it first: dataworks sync {run_id}",
        )
    if before.follows and not request.reverse:
        raise UsageError(
            f"run {run_id} was cut over: the application may write to its target by now",
            f"Keep the old side equal to it: dataworks sync {run_id} --reverse",
        )


def _forward(
    connections: Connections, before: RunSpec, job: MigrationJob, request: SyncRequest
) -> RunSpec:
    """Follow from now. What changed since the copy is found by comparing everything."""
    if before.append:
        raise UsageError(
            f"run {before.run_id} added to collections that held documents, and following deletes "
            "what the source does not have",
            "Migrate into collections of its own: dataworks migrate ... --follow",
        )
    repair = RepairRequest(delete_extra=True, overwrite_changes=request.overwrite_changes)
    try:
        check_repairable(before.run_id, repair, connections)
    except UsageError as error:
        raise UsageError(
            error.fact.replace("a repair would", "following would"),
            f"To do it anyway: dataworks sync {before.run_id} --overwrite-changes",
        ) from None
    return _spec(connections, before, job, request, compare_first=True)


def _reversed(
    connections: Connections, before: RunSpec, job: MigrationJob, request: SyncRequest
) -> RunSpec:
    """Follow the target from its position at the cut-over, and write to the source."""
    _check_reversible(before, job)
    windows = connections.ledger.key_windows
    kept = windows.place(before.run_id, TARGET)
    last = FollowPlace.from_bytes(windows.place(before.run_id, PLACE))
    connections.swap()
    back = job.model_copy(
        update={
            "namespaces": tuple(pair.turned() for pair in job.namespaces),
            "renames": tuple((new, old) for old, new in job.renames),
            "views": (),
            "left_out": (),
            "swapped": not job.swapped,
        }
    )
    if request.overwrite_changes:
        return _spec(connections, before, back, request, compare_first=True)
    _check_untouched(connections, before, back, last.time)
    at = FollowPlace.from_bytes(kept) if kept else None
    try:
        if at is not None:
            return _spec(connections, before, back, request, at)
        reason = "the cut-over recorded no position of the target"
    except HistoryLost as error:
        reason = error.fact
    raise UsageError(
        reason,
        "Compare everything and follow from now: "
        f"dataworks sync {before.run_id} --reverse --overwrite-changes",
    )


def _check_reversible(before: RunSpec, job: MigrationJob) -> None:
    changes = {
        "a filter": job.filter,
        "changes of fields": job.transform,
        f"the strategy {job.strategy!r}": job.strategy != "default",
        "other _ids": any(pair.id_from for pair in job.namespaces),
    }
    found = next((name for name, is_there in changes.items() if is_there), None)
    if found is not None:
        raise UsageError(
            f"run {before.run_id} had {found}, so its target differs from its source: following "
            "it back would overwrite or delete the originals",
            "Keep the old side as it is, or migrate back into other collections",
        )


def _check_untouched(
    connections: Connections, before: RunSpec, back: MigrationJob, last: Timestamp
) -> None:
    """Raise UsageError if somebody wrote to the old side after the cut-over."""
    old_side = {pair.target for pair in back.namespaces}
    changes = changes_from(connections.target, old_side, Timestamp(last.time, last.inc + 1))
    if changes.count:
        raise UsageError(
            f"the old side was changed {counted(changes.count, 'time')} since the cut-over, "
            f"the last time by {changes.last}; following back would miss these changes",
            "To make it equal to the new side again: "
            f"dataworks sync {before.run_id} --reverse --overwrite-changes",
        )


def _spec(
    connections: Connections,
    before: RunSpec,
    job: MigrationJob,
    request: SyncRequest,
    at: FollowPlace | None = None,
    *,
    compare_first: bool = False,
) -> RunSpec:
    source, target = connections.source, connections.target
    clock = connections.ledger.key_windows.now
    follow = follow_from(source, job, request.on_ddl, connections.config, clock, at)
    follow = follow.model_copy(update={"continues": before.run_id, "compare_first": compare_first})
    update: dict[str, Any] = {
        "run_id": new_run_id(RunKind.MIGRATION),
        "created_at": datetime.now(UTC),
        "append": False,
        "source_fingerprint": source.config.fingerprint,
        "target_fingerprint": target.config.fingerprint,
        "source_server": server_process(source),
        "target_server": server_process(target),
        "job": job.model_copy(update={"follow": follow}),
    }
    if request.reverse:
        update |= {"max_ru": before.source_max_ru, "source_max_ru": before.max_ru}
    return before.model_copy(update=update)


def _are_writes_blocked(old_side: BaseDatabaseClient) -> bool:
    try:
        status = old_side.command("admin", {"serverStatus": 1})
    except TerminalError:
        return False  # a server without that command cannot block writes
    return bool(status.get("repl", {}).get("userWriteBlockMode") == _WRITES_BLOCKED)
