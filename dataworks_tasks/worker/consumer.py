"""The consumer of a Celery worker, which comes back soon after an outage of its broker."""

from __future__ import annotations

from functools import partial
from typing import Any

from dataworks_tasks.worker.newer_tasks import NewerTasksConsumer

_MOST_SECONDS = 4
"""Kombu waits two seconds longer at each attempt, up to half a minute: after an outage of a minute,
a worker would stay away for ten seconds more."""


class PromptConsumer(NewerTasksConsumer):
    """For the setting ``worker_consumer``."""

    def ensure_connected(self, conn: Any) -> Any:
        """Connect to the broker, trying every few seconds however long the outage is."""
        conn.ensure_connection = partial(
            conn.ensure_connection,
            interval_start=1,
            interval_step=1,
            interval_max=_MOST_SECONDS,
        )
        return super().ensure_connected(conn)
