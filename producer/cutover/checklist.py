"""What has to be right before a cut-over: a list that a person can read aloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.ledger.contract import Ledger, RunState
from dataworks_tasks.migrate.collection_options import is_gone, read_options
from dataworks_tasks.migrate.read_indexes import read_indexes
from dataworks_tasks.monitor.standstill import standstill
from dataworks_tasks.numerals import counted
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.sync.reconcile import KeyRoute
from dataworks_tasks.sync.routes import migration_routes
from producer.connections import Connections
from producer.cutover.drain import backlog
from producer.cutover.duplicates import lasting_duplicate
from producer.cutover.source_collections import (
    ACCEPTING,
    created_since,
    ddl_check,
    gone_collection,
)
from producer.doctor.check import Check
from producer.doctor.database_rights import missing_rights
from producer.resume.resync import is_resync_pending
from producer.view.follow_figures import follow_figures
from producer.view.next_step import resume_command

_BLOCK_RIGHT = frozenset({"setUserWriteBlockMode"})
_LARGEST_LAG_SECONDS = 60


def checklist(
    connections: Connections,
    spec: RunSpec,
    *,
    block_writes: bool,
    accept_failures: bool,
    verify: str = "changed",
) -> Iterator[Check]:
    """Yield every check, in the order of the cut-over. Changes nothing."""
    ledger = connections.ledger
    job = spec.data_job
    if not isinstance(job, MigrationJob):
        raise TypeError(f"{spec.run_id} is not a migration")
    yield from _run(ledger, spec, accept_failures=accept_failures)
    context = RunContext(spec, connections.config, ledger, connections.target, connections.source)
    yield ddl_check(ledger, spec, job, verify)
    yield from created_since(connections, job, accepted=accept_failures)
    for pair, route in zip(job.namespaces, migration_routes(context, job), strict=True):
        if is_gone(connections.source, pair.source):
            yield gone_collection(job, pair, accepted=accept_failures)
            continue
        yield _collection(connections, pair)
        yield from _unique_indexes(connections, pair, route, accepted=accept_failures)
    if block_writes:
        yield _may_block(connections)


def _run(ledger: Ledger, spec: RunSpec, *, accept_failures: bool) -> Iterator[Check]:
    run_id = spec.run_id
    progress = ledger.progress(run_id)
    wait = f"Wait for it: dataworks status {run_id} --watch"
    command = resume_command(run_id, progress.state, progress.last_error)
    remedies = {RunState.RUNNING: "", RunState.PLANNING: wait}
    yield Check(
        "run",
        ok=progress.state is RunState.RUNNING,
        found=f"{progress.state}",
        remedy=remedies.get(progress.state, f"Continue it: {command}"),
    )
    found = standstill(ledger, progress)
    yield Check(
        "workers",
        ok=found.has_workers,
        found="running" if found.has_workers else f"{found.cause}",
    )
    copied = ledger.key_windows.is_copied(run_id)
    yield Check(
        "copy",
        ok=copied,
        found="done" if copied else "not done, or a late write may still arrive",
        remedy="" if copied else wait,
    )
    resync = f"dataworks resume {run_id} --resync"
    lost, pending = command == resync, is_resync_pending(ledger, spec)
    yield Check(
        "history",
        ok=not lost and not pending,
        found="it no longer reaches back to the run's position"
        if lost
        else "a new position was taken, and nothing has been compared since"
        if pending
        else "complete",
        remedy=f"Compare and repair: {resync}" if lost or pending else "",
    )
    left = backlog(ledger, run_id)
    # The position of an idle source is old; the process that follows knows that nothing is left.
    figures = follow_figures(ledger, spec, progress)
    lag = ledger.key_windows.now() - left.time.time if figures is None else figures.lag_seconds
    yield Check(
        "lag",
        ok=lag <= _LARGEST_LAG_SECONDS,
        found=f"{lag:.0f} s; left: {left}",
        remedy="" if lag <= _LARGEST_LAG_SECONDS else "Wait until it has caught up",
    )
    yield Check(
        "suspect windows",
        ok=True,
        found=f"{left.deferred:,}, due in {left.deferred_seconds:.0f} s"
        if left.deferred
        else "none",
    )
    failures = progress.failures
    yield Check(
        "failures",
        ok=not failures or accept_failures,
        found=f"{counted(failures, 'document')} could not be written",
        remedy=f"See them: dataworks failures {run_id}; or cut over without them:"
        if failures and not accept_failures
        else "",
        needs=ACCEPTING,
    )


def _collection(connections: Connections, pair: NamespacePair) -> Check:
    """Check that the collection is on both sides, with the same options."""
    name = str(pair.source)
    ours, theirs = (
        read_options(client, namespace)
        for client, namespace in (
            (connections.source, pair.source),
            (connections.target, pair.target),
        )
    )
    if ours is None or theirs is None:
        where = "source" if ours is None else "target"
        return Check(
            name,
            ok=False,
            found=f"it no longer exists at the {where}",
            remedy="Start the migration again",
        )
    differing = [
        option
        for option in ("collation", "capped", "timeseries", "clusteredIndex")
        if _comparable(ours, option) != _comparable(theirs, option)
    ]
    found = f"options differ: {', '.join(differing)}" if differing else "options are the same"
    remedy = "Start the migration again" if differing else ""
    return Check(name, ok=not differing, found=found, remedy=remedy)


def _comparable(options: Mapping[str, Any], name: str) -> Any:
    value = options.get(name)
    return {k: v for k, v in value.items() if k != "v"} if isinstance(value, Mapping) else value


def _unique_indexes(
    connections: Connections, pair: NamespacePair, route: KeyRoute, *, accepted: bool
) -> Iterator[Check]:
    """Check for duplicates that a unique index would meet: better now than at the last step."""
    for index in read_indexes(connections.source, pair.source):
        if not index.get("unique"):
            continue
        name = f"unique index {index['name']}"
        try:
            duplicate = lasting_duplicate(route, index)
        except DataWorksError as error:
            yield Check(name, ok=False, found=error.fact, remedy=error.remedy)
            continue
        yield Check(
            name,
            ok=duplicate is None or accepted,
            found="no duplicates at the target"
            if duplicate is None
            else f"{pair.target} has several documents with {duplicate}",
            remedy=""
            if duplicate is None or accepted
            else "Change them at the source; or cut over without the index:",
            needs=ACCEPTING,
        )


def _may_block(connections: Connections) -> Check:
    source, target = connections.source, connections.target
    if source.config.fingerprint == target.config.fingerprint:
        return Check(
            "--block-writes",
            ok=False,
            found="source and target are the same server: it would refuse writes to the target too",
            remedy="Stop the writers yourself and leave --block-writes out",
        )
    missing = missing_rights(source, "", "", _BLOCK_RIGHT)
    return Check(
        "--block-writes",
        ok=not missing,
        found="the source's user may block writes"
        if not missing
        else "the source's user may not run setUserWriteBlockMode",
        remedy=""
        if not missing
        else "Grant the role hostManager, or stop the writers yourself and omit --block-writes",
    )
