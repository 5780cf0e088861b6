"""The Celery app: ``celery -A dataworks_tasks worker``."""

from __future__ import annotations

from typing import Any

from dataworks_tasks import logs as _logs  # noqa: F401 - sets up logging when Celery asks for it
from dataworks_tasks.broker.celery_settings import celery_settings
from dataworks_tasks.broker.create_app import bare_app
from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.settings import ConfigManager
from dataworks_tasks.worker.driver_timer import DriverTimer
from dataworks_tasks.worker.liveness_step import LivenessStep
from dataworks_tasks.worker.pool_check import PoolCheck
from dataworks_tasks.worker.prompt_stop import PromptStop
from dataworks_tasks.worker.word_sharing import WordSharing


def _settings_from_environment() -> dict[str, Any]:
    try:
        return celery_settings(ConfigManager().load_config())
    except DataWorksError as error:
        raise SystemExit(f"dataworks: {error}") from None


app = bare_app()
app.add_defaults(_settings_from_environment)
app.steps["worker"].add(PoolCheck)
app.steps["worker"].add(WordSharing)
app.steps["worker"].add(PromptStop)
app.steps["consumer"].add(LivenessStep)
app.steps["consumer"].add(DriverTimer)
