"""The position in a target's changes at the cut-over: a reversed run begins there."""

from __future__ import annotations

from collections.abc import Callable

from dataworks_tasks.errors import DataWorksError, TransientError
from dataworks_tasks.runs.spec import MigrationJob
from dataworks_tasks.store.bounded_reads import now_at
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.sync.follow_place import FollowPlace
from dataworks_tasks.sync.open_changes import Followed, open_changes


def target_position(
    target: BaseDatabaseClient, job: MigrationJob, clock: Callable[[], float]
) -> FollowPlace | None:
    """Return the target's position; None if its changes, or this user, do not allow reading them.

    Raises TransientError when the target does not answer.
    """
    time = now_at(target)
    if time is not None:
        return FollowPlace(b"", time)
    pairs = tuple(pair.turned() for pair in job.namespaces)
    try:
        with open_changes(Followed(target, pairs, None, clock)) as reader:
            captured = reader.read(1, 0)
    except TransientError:
        raise
    except DataWorksError:
        return None
    return FollowPlace(captured.token, captured.time)
