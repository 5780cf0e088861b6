"""The part of a Celery worker that lets its processes share the words that they draw."""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from dataworks_tasks.generate.fields.shared_words import share_words


class WordSharing(bootsteps.Step):
    """Add it to an app with ``app.steps["worker"].add(WordSharing)``. It comes before the fork."""

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        # The parent has its own ``autoscale`` only after the step that makes the pool, and the two
        # steps have no order.
        if parent.concurrency > 1 or options.get("autoscale"):
            share_words()
