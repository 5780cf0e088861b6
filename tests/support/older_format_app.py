"""The Celery app of a worker of an older version, which cannot read today's specs."""

from __future__ import annotations

from dataworks_tasks.celery_app import app
from dataworks_tasks.runs import read_spec
from dataworks_tasks.runs.spec import FORMAT_VERSION

__all__ = ["app"]

vars(read_spec)["FORMAT_VERSION"] = FORMAT_VERSION - 1
