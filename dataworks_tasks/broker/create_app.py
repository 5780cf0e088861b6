"""A Celery app: a worker's, and one that only sends."""

from __future__ import annotations

from celery import Celery

from dataworks_tasks.broker.celery_settings import celery_settings
from dataworks_tasks.settings import FrameworkConfig


def bare_app() -> Celery:
    """Create an app that has no settings yet."""
    return Celery(
        "dataworks",
        include=["dataworks_tasks.tasks", "dataworks_tasks.worker.report"],
        amqp="dataworks_tasks.broker.checked_transport:CheckedQueue",
        fixups=[],  # Django's imports all of a worker, in commands too
    )


def create_app(config: FrameworkConfig) -> Celery:
    """Create an app that sends messages; it needs nothing that only workers use."""
    celery = bare_app()
    celery.conf.update(celery_settings(config))
    return celery
