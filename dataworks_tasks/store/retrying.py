"""Retry transient errors for callers that can simply block."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.errors import Throttled, TransientError

T = TypeVar("T")

_BACKOFF = Backoff()


def retry_transient(ask: Callable[[], T], backoff: Backoff = _BACKOFF) -> T:
    """Return the answer of ``ask``, which must be safe to repeat.

    Throttling is retried without a limit. Other transient errors are retried as often as
    ``backoff`` allows; then the error is raised.
    """
    for pause in backoff.pauses():
        try:
            return retry_while_throttled(ask, backoff)
        except TransientError:
            time.sleep(pause)
    return retry_while_throttled(ask, backoff)


def retry_while_throttled(ask: Callable[[], T], backoff: Backoff = _BACKOFF) -> T:
    """Return the answer of ``ask``, retried while it is throttled; other errors raise."""
    refused = 0
    while True:
        try:
            return ask()
        except Throttled as error:
            refused += 1
            time.sleep(error.delay_seconds or backoff.pause(refused))
