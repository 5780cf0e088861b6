"""The app with a time limit that a test can wait for: ``celery -A tests.support.hasty_app``."""

from __future__ import annotations

from dataworks_tasks.celery_app import app

app.conf.task_time_limit = 3

__all__ = ["app"]
