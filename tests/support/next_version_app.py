"""Workers of another version: ``celery -A tests.support.next_version_app``."""

from __future__ import annotations

import dataworks_tasks.version

dataworks_tasks.version.__version__ = "99.0.0"

from dataworks_tasks.celery_app import app  # noqa: E402 - after the change

__all__ = ["app"]
