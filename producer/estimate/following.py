"""What following needs of a source, and what the source has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from dataworks_tasks.errors import TerminalError, UsageError
from dataworks_tasks.runs.spec import MigrationJob
from producer.connections import Connections
from producer.estimate.concern import Concern
from producer.start.history_window import SAFE_HISTORY, HistoryWindow, history_window
from producer.start.run_request import MigrationRequest
from producer.start.start_follow import follow_part
from producer.view.durations import shown_duration


@dataclass(frozen=True, slots=True)
class FollowOutlook:
    """A source that can be followed.

    ``history``: None if the source does not say how far its history reaches back. ``database``: the
    database whose change stream the user may read; None: that of the whole deployment.
    ``stale_seconds``: how long every change waits because the source may answer with old documents.
    """

    copy_seconds: float
    history: HistoryWindow | None
    database: str | None
    stale_seconds: float

    @property
    def is_short(self) -> bool:
        """Return whether changes may be removed from the history before the run reads them."""
        history = self.history
        if history is None or history.is_growing:
            return False
        return history.seconds < SAFE_HISTORY * self.copy_seconds

    def concerns(self) -> Iterator[Concern]:
        """Yield a concern if the source may drop changes before the run reads them."""
        if self.history is not None and self.is_short:
            yield Concern(
                "the source's change history",
                f"it reaches back {shown_duration(self.history.seconds)}, and copying takes about "
                f"{shown_duration(self.copy_seconds)}: changes may be lost before they are read",
                "Enlarge it (db.adminCommand({replSetResizeOplog: 1, size: MEGABYTES})), or run "
                "more workers",
            )


def follow_outlook(
    connections: Connections, request: MigrationRequest, job: MigrationJob, copy_seconds: float
) -> FollowOutlook | None:
    """Open the source's change stream and look at its history; None if it cannot be followed."""
    source = connections.source
    try:
        part = follow_part(source, job, request, connections.config, time.time)
    except (UsageError, TerminalError):
        return None  # what prevents it is among the concerns
    return FollowOutlook(copy_seconds, history_window(source), part.database, part.stale_seconds)
