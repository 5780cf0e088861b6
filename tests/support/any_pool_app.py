"""A worker of a version that did not look at its pool: ``celery -A tests.support.any_pool_app``."""

from __future__ import annotations

from dataworks_tasks.celery_app import app
from dataworks_tasks.worker.pool_check import PoolCheck

app.steps["worker"].discard(PoolCheck)

__all__ = ["app"]
