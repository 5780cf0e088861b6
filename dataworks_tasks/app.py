"""The Celery app: ``celery -A dataworks_tasks worker``."""

from __future__ import annotations

from typing import Any

from celery import Celery

from dataworks_tasks.celery_settings import celery_settings
from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.liveness_step import LivenessStep
from dataworks_tasks.settings import ConfigManager, FrameworkConfig


def _settings_from_environment() -> dict[str, Any]:
    try:
        return celery_settings(ConfigManager().load_config())
    except DataWorksError as error:
        raise SystemExit(f"dataworks: {error}") from None


def create_app(config: FrameworkConfig | None = None) -> Celery:
    """An app with the given settings, or with this process' own, read when first needed."""
    celery = Celery(
        "dataworks",
        include=["dataworks_tasks.tasks"],
        amqp="dataworks_tasks.checked_queue:CheckedQueue",
    )
    if config is None:
        celery.add_defaults(_settings_from_environment)
    else:
        celery.conf.update(celery_settings(config))
    return celery


app = create_app()
app.steps["consumer"].add(LivenessStep)
