"""Collections that are created while a source is followed, and that the run's patterns select.

They are found by listing, so it does not matter whether a server reports that a collection was
created. Every key of such a collection is reconciled, and its changes are followed from the
position that the reader has when it adds the collection.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.ledger.key_windows import Append, Place
from dataworks_tasks.migrate.collection_options import read_options
from dataworks_tasks.migrate.listed_collections import (
    ListedCollection,
    listed_collections,
    matches_any,
)
from dataworks_tasks.runs.choices import OnDdl
from dataworks_tasks.runs.later_pairs import LATER, later_pairs, with_pairs
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.renaming import renamed
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, RunSpec
from dataworks_tasks.store.capabilities import CollectionCommand
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import read_collection

log = logging.getLogger(__name__)

_OWN = ("dataworks.", "dataworks_marker_")
_TEMPORARY = "tmp.agg_out."
"""A collection that ``$out`` fills before it takes its name."""
_SPECIAL = ("timeseries", "capped", "collation", "clusteredIndex")


class LaterCollection(NamedTuple):
    """A collection that the run's patterns select. ``problem``: why the run cannot add it."""

    pair: NamespacePair
    problem: str = ""


def later_collections(
    source: BaseDatabaseClient, target: BaseDatabaseClient, job: MigrationJob
) -> Iterator[LaterCollection]:
    """Yield the source's collections that the run would have if it began now, and does not have.

    The patterns of a reversed run are those of the side that it writes to.
    """
    if job.follow is None or not any("*" in each for each in job.include):
        return
    known = {pair.source for pair in job.namespaces} | {each.namespace for each in job.left_out}
    targets = {pair.target for pair in job.namespaces}
    one_server: bool | None = None
    databases = {pair.source.database for pair in job.namespaces}
    patterns = [f"{each}.*" for each in sorted(databases)] if job.swapped else job.include
    for item in listed_collections(source, patterns):
        if item.namespace in known or not _is_wanted(item, job):
            continue
        if one_server is None:
            one_server = _is_one_server(source, target, job)
        pair = NamespacePair(source=item.namespace, target=renamed(item.namespace, job.renames))
        if one_server and (pair.source in targets or pair.source == pair.target):
            continue  # the run's own target, seen from the other side
        yield LaterCollection(pair, _problem(item, pair, target, job, targets))
        targets.add(pair.target)


def spec_with_later(ledger: Ledger, run_id: str) -> tuple[RunSpec, int]:
    """Return the run's spec, and how many of its collections were added later."""
    while True:
        kept = ledger.key_windows.place(run_id, LATER)
        spec = ledger.spec(run_id)
        if ledger.key_windows.place(run_id, LATER) == kept:
            return spec, len(later_pairs(kept))


def take_in(
    ledger: Ledger, spec: RunSpec, source: BaseDatabaseClient, target: BaseDatabaseClient
) -> bool:
    """Record the collections to add to the run; return whether there were any."""
    job, windows = spec.data_job, ledger.key_windows
    if not isinstance(job, MigrationJob):
        return False
    found = [each.pair for each in later_collections(source, target, job) if not each.problem]
    if not found:
        return False
    kept = windows.place(spec.run_id, LATER)
    known = {pair.source for pair in later_pairs(kept)}
    facts = [
        (pair, read_collection(source, pair.source)) for pair in found if pair.source not in known
    ]
    pairs = [
        pair.model_copy(update={"source_uuid": each.uuid})
        for pair, each in facts
        if each is not None
    ]
    place = Place(LATER, kept, with_pairs(kept, pairs))
    # A process that moved it meanwhile has found them, too.
    if pairs and windows.append(spec.run_id, Append(place=place)) is not None:
        names = ", ".join(str(pair.source) for pair in pairs)
        log.info("collections created after the start are followed: %s", names)
    return True


def create_at_the_target(target: BaseDatabaseClient, pairs: tuple[NamespacePair, ...]) -> None:
    """Create the missing target collections: even one without documents must exist."""
    for pair in pairs:
        if read_options(target, pair.target) is None:
            target.command(pair.target.database, {"create": pair.target.collection})


def _is_wanted(item: ListedCollection, job: MigrationJob) -> bool:
    name = item.namespace.collection
    if item.type == "view" or item.is_system or item.options.get("temp"):
        return False
    if name.startswith((*_OWN, _TEMPORARY)):
        return False
    original = renamed(item.namespace, job.renames) if job.swapped else item.namespace
    return matches_any(job.include, original) and not matches_any(job.exclude, original)


def _problem(
    item: ListedCollection,
    pair: NamespacePair,
    target: BaseDatabaseClient,
    job: MigrationJob,
    targets: set[Namespace],
) -> str:
    """Return the first reason why the run cannot add the collection."""
    follow = job.follow
    if follow is None or follow.on_ddl is OnDdl.IGNORE:
        return "--on-ddl ignore leaves it out of this run"
    special = [name for name in _SPECIAL if item.options.get(name)]
    only = follow.database
    reasons = {
        "a way back has the collections of the run before it": job.swapped,
        "this source can be followed only one collection at a time": follow.stale_seconds > 0,
        f"the source's user may follow only {only}": only not in (None, pair.source.database),
        f"it has the option {', '.join(special)}": bool(special),
        "it must be set up at the target first": target.capabilities.collection_command
        is not CollectionCommand.NONE,
        f"another collection is copied to {pair.target}": pair.target in targets,
    }
    found = next((reason for reason, holds in reasons.items() if holds), "")
    if not found and target.estimated_count(pair.target):
        return f"{pair.target} already holds documents"
    return found


def _is_one_server(
    source: BaseDatabaseClient, target: BaseDatabaseClient, job: MigrationJob
) -> bool:
    """Return whether the source connection sees the run's target collections themselves."""
    if source.config.fingerprint == target.config.fingerprint:
        return True
    for pair in job.namespaces:
        ours, theirs = read_collection(source, pair.target), read_collection(target, pair.target)
        if ours is not None and theirs is not None:
            return ours.uuid is not None and ours.uuid == theirs.uuid
    return False
