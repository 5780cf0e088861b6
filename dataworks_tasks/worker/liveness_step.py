"""The part of a Celery worker that touches its liveness file."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.worker.liveness import TOUCH_SECONDS, LivenessFile, liveness_folder

log = logging.getLogger(__name__)


class LivenessStep(bootsteps.StartStopStep):
    """Add it to an app with ``app.steps["consumer"].add(LivenessStep)``.

    It belongs to the consumer, not to the worker: a consumer that starts again after a lost
    connection starts its steps again, while Celery 5.6 drops every timer entry then.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._entry: Any = None

    def start(self, parent: Any) -> None:
        """Touch the file now and from time to time, on the event loop: a loop that hangs stops."""
        try:
            file = LivenessFile(parent.hostname, liveness_folder())
            file.write()
        except (SettingsError, OSError) as error:
            log.warning("%s; this worker has no liveness file, so worker-health fails", error)
            return
        self._entry = parent.timer.call_repeatedly(TOUCH_SECONDS, file.touch)

    def stop(self, parent: Any) -> None:
        """Stop touching. The file stays: its age shows how long the connection has been lost."""
        if self._entry is not None:
            parent.timer.cancel(self._entry)
            self._entry = None
