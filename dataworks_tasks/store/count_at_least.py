"""Count a collection exactly only if its metadata says that it holds too few."""

from __future__ import annotations

from functools import partial

from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.lease import FinishLease
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.background import ask_in_background
from dataworks_tasks.store.client import BaseDatabaseClient


def count_at_least(
    target: BaseDatabaseClient, run_id: str, namespace: Namespace, least: int, lease: FinishLease
) -> int | None:
    """Return how many documents there are; None if ``lease`` ended first.

    If the metadata's number is ``least`` or more, it is returned: it may be off, but costs nothing.
    """
    estimated = target.estimated_count(namespace)
    if estimated >= least:
        return estimated
    lease.show(lambda: f"counting {namespace}")
    count = partial(target.count_without_timeout, namespace, {})
    return ask_in_background((run_id, "target", namespace), count, lease)


def fewer_than_written(present: int, least: int) -> str:
    """Return the text for a collection that holds fewer documents than a run wrote."""
    return (
        f"it holds {counted(present, 'document')}, {least - present:,} fewer than the run has "
        "written: a TTL index, the limit of a capped collection or another client deleted them"
    )
