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
    """The answer to ``ask``, which may be asked any number of times.

    Throttling is waited out however long it takes; other trouble that passes for the backoff's
    number of tries, then its error is raised.
    """
    for pause in backoff.pauses():
        try:
            return retry_while_throttled(ask, backoff)
        except TransientError:
            time.sleep(pause)
    return retry_while_throttled(ask, backoff)


def retry_while_throttled(ask: Callable[[], T], backoff: Backoff = _BACKOFF) -> T:
    """The answer to ``ask``, asked again while the server is over its rate; other errors raise."""
    refused = 0
    while True:
        try:
            return ask()
        except Throttled as error:
            refused += 1
            time.sleep(error.delay_seconds or backoff.pause(refused))
