"""Run a query that may take longer than one lease, once for all leases of this process."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, TypeVar, cast

from dataworks_tasks.runs.lease import FinishLease

T = TypeVar("T")

_LOOK_SECONDS = 0.5
_asked: dict[Hashable, Future[Any]] = {}
_lock = Lock()


def ask_in_background(key: Hashable, ask: Callable[[], T], lease: FinishLease) -> T | None:
    """Return the answer of ``ask``; None if ``lease`` ended first.

    Calling it again in this process with the same ``key`` waits for the pending answer. Raises the
    errors that ``ask`` raises.
    """
    with _lock:
        answer = cast("Future[T] | None", _asked.get(key))
        if answer is None:
            answer = _asked[key] = Future()
            # A daemon thread: a worker that is asked to leave does not wait for the answer.
            Thread(target=_answer, args=(ask, answer), name="ask-server", daemon=True).start()
    while not answer.done():
        if lease.reached:
            return None
        try:
            answer.exception(_LOOK_SECONDS)
        except TimeoutError:
            continue
    with _lock:
        _asked.pop(key, None)
    return answer.result()


def _answer(ask: Callable[[], T], answer: Future[T]) -> None:
    try:
        answer.set_result(ask())
    except Exception as error:  # noqa: BLE001 - the one who waits raises it
        answer.set_exception(error)
