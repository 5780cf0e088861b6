"""A worker of a version that does not know the task that generates."""

from __future__ import annotations

from celery.signals import worker_init

from dataworks_tasks.broker.messages import GENERATE_RANGE
from dataworks_tasks.celery_app import app

__all__ = ["app"]


@worker_init.connect(weak=False)
def forget_the_task(**_: object) -> None:
    app.loader.import_default_modules()
    app.tasks.unregister(GENERATE_RANGE)
