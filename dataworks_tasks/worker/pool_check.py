"""Refuse pools in which a worker process would share its state."""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from dataworks_tasks.errors import UsageError

_KNOWN = ("prefork", "solo")
_ALSO_CALLED = {"thread": "threads"}
"""Celery's modules whose pool is selected by another name."""


class PoolCheck(bootsteps.Step):
    """Add it to an app with ``app.steps["worker"].add(PoolCheck)``.

    A process keeps connections, threads and the runs that it works on. Threads and greenlets would
    share them, and close them while others use them.
    """

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        try:
            check_pool(pool_name(parent.pool_cls))
        except UsageError as error:
            raise SystemExit(f"dataworks: {error}") from None


def pool_name(pool_class: Any) -> str:
    """Return the name by which ``--pool`` selects the pool."""
    name = str(pool_class.__module__).rpartition(".")[2]
    return _ALSO_CALLED.get(name, name)


def check_pool(name: str) -> None:
    """Raise UsageError for a pool that DataWorks cannot work with."""
    if name not in _KNOWN:
        raise UsageError(
            f"the pool {name!r} is not supported", "Leave --pool out (prefork), or give --pool solo"
        )
