"""Signals that end a command which has something to restore or to undo first."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

_SIGNALLED = 128
"""What a shell adds to a signal's number to get the exit code."""


@contextmanager
def handled(
    signals: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Call ``handler`` for these signals within this, unless they are ignored."""
    # Under nohup a closed terminal is ignored, and this must not change that.
    wanted = [one for one in signals if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, handler) for one in wanted}
    try:
        yield
    finally:
        for one, earlier in before.items():
            signal.signal(one, earlier)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise SystemExit within this, as Ctrl-C raises KeyboardInterrupt."""
    with handled((signal.SIGTERM, signal.SIGHUP), _end):
        yield


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(_SIGNALLED + number)
