"""Collections that are gone from the source since the run's start, and those created since."""

from __future__ import annotations

import json
from collections.abc import Iterator

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.migrate.collection_options import is_gone, read_options
from dataworks_tasks.runs.choices import OnDdl
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.follow_place import DDL
from dataworks_tasks.sync.later_collections import later_collections
from producer.connections import Connections
from producer.doctor.check import Check
from producer.start.separate_collections import with_source_uuids

ACCEPTING, COMPARING = "--accept-failures", "--verify full"
"""The flags of a cut-over that accept what is missing, or compare what no change reports."""


def as_it_is_now(source: BaseDatabaseClient, job: MigrationJob) -> MigrationJob:
    """Return the job with the current source collections, including recreated ones."""
    there = tuple(pair for pair in job.namespaces if not is_gone(source, pair.source))
    return job.model_copy(update={"namespaces": with_source_uuids(source, there)})


def drop_what_is_gone(connections: Connections, job: MigrationJob) -> Iterator[str]:
    """Drop empty collections of the target whose source was dropped; yields their names.

    Only if the run follows such changes: all their documents were deleted before.
    """
    if job.follow is None or job.follow.on_ddl is not OnDdl.FOLLOW:
        return
    for pair in job.namespaces:
        if is_gone(connections.source, pair.source) and not connections.target.count(pair.target):
            connections.target.drop(pair.target)
            yield str(pair.target)


def gone_collection(job: MigrationJob, pair: NamespacePair, *, accepted: bool) -> Check:
    """Check a collection that the source no longer has."""
    name = str(pair.source)
    if job.follow is not None and job.follow.on_ddl is OnDdl.FOLLOW:
        found = f"dropped at the source; the cut-over drops {pair.target} if it is empty"
        return Check(name, ok=True, found=found)
    return Check(
        name,
        ok=accepted,
        found=f"it no longer exists at the source; {pair.target} keeps its documents",
        remedy="" if accepted else "If that is right:",
        needs=ACCEPTING,
    )


def ddl_check(ledger: Ledger, spec: RunSpec, job: MigrationJob, verify: str) -> Check:
    """Check for changes of collections themselves that only a full comparison covers."""
    kept = ledger.key_windows.place(spec.run_id, DDL)
    seen = ", ".join(json.loads(kept)) if kept else ""
    followed = job.follow is not None and job.follow.on_ddl is OnDdl.FOLLOW
    fine = not seen or followed or verify == "full"
    return Check(
        "collections",
        ok=fine,
        found=f"{seen} at the source" if seen else "none was dropped or renamed",
        remedy="" if fine else "Such a change sends no deletions, so compare everything:",
        needs=COMPARING,
    )


def created_since(
    connections: Connections, job: MigrationJob, *, accepted: bool
) -> Iterator[Check]:
    """Check for collections that the run's patterns select now, and that are not part of it."""
    for pair, problem in later_collections(connections.source, connections.target, job):
        if not problem:
            yield Check(
                str(pair.source),
                ok=True,
                found=f"created at the source after the start; it is followed to {pair.target}",
            )
            continue
        has_own_run = read_options(connections.target, pair.target) is not None
        since = "not part of the run" if job.swapped else "created at the source after the start"
        exchanged = ", with --source and --target exchanged" if job.swapped else " --follow"
        yield Check(
            str(pair.source),
            ok=has_own_run or accepted,
            found=f"{since}; {pair.target} exists at the target"
            if has_own_run
            else f"{since}, and not followed: {problem}",
            remedy=""
            if has_own_run or accepted
            else f"Copy it too: dataworks migrate --include {pair.source} --to {pair.target}"
            f"{exchanged}; or leave it out:",
            needs=ACCEPTING,
        )
