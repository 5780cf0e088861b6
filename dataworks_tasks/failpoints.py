"""Named places in the middle of the work where a test can kill or stop this process.

Off by default, and then an empty function. A test sets ``DATAWORKS_FAILPOINTS`` in the environment
of the process it wants to hit; nothing in a message, a spec or a settings file reaches this.

    DATAWORKS_FAILPOINTS="write.after=kill@3:/tmp/marks,plan.before=stop@1:/tmp/marks"

At the third passage of ``write.after`` the process gets SIGKILL. The file ``write.after`` in the
folder says that it happened, and keeps it from happening again: a replacement process that passes
the same place continues.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

VARIABLE = "DATAWORKS_FAILPOINTS"

CHILD_FAILPOINTS = (
    "generate.before",
    "generate.after",
    "read.before",
    "read.after",
    "write.before",
    "write.after",
    "acknowledge.before",
    "acknowledge.after",
    "enqueue.before",
    "enqueue.after",
    "finish.before",
    "finish.after",
    "plan.before",
    "plan.after",
    "close-plan.before",
    "close-plan.after",
    "send.before",
    "send.after",
)
"""In the processes of a worker's pool: its ranges, the steps of run drivers, its messages."""
PARENT_FAILPOINTS = ("celery-ack.before", "celery-ack.after")
"""In the worker itself, around taking a message off the queue."""
PRODUCER_FAILPOINTS = ("record.before", "record.after", "send.before", "send.after")
"""In the producer: the run's record, its first messages."""
FOLLOW_FAILPOINTS = (
    "capture.before",
    "capture.after",
    "take-in.before",
    "reconcile-write.before",
    "reconcile-commit.before",
    "reconcile-write.after",
    "reconcile-read.before",
    "reconcile-read.after",
)
"""In the processes of a worker's pool, where a run follows its source."""
CUT_OVER_FAILPOINTS = (
    "cut-over-lease.after",
    "cut-over-stop.after",
    "cut-over-drain.after",
    "cut-over-quiet.after",
    "cut-over-verify.after",
    "cut-over-indexes.after",
    "cut-over-complete.before",
    "cut-over-complete.after",
)
"""In the command that cuts a run over, after each of its steps."""
FAILPOINTS = tuple(
    dict.fromkeys(
        CHILD_FAILPOINTS
        + PARENT_FAILPOINTS
        + PRODUCER_FAILPOINTS
        + FOLLOW_FAILPOINTS
        + CUT_OVER_FAILPOINTS
    )
)

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


@dataclass(slots=True)
class _Armed:
    signal: signal.Signals
    passages_left: int
    mark: Path

    def pass_by(self) -> None:
        self.passages_left -= 1
        if self.passages_left != 0:
            return
        try:
            self.mark.touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), self.signal)


def armed(text: str) -> Callable[[str], None]:
    """Return the ``failpoint`` function that the variable's text asks for.

    Raises ValueError for an unknown name, so that no test waits for a misspelled one.
    """
    places: dict[str, _Armed] = {}
    for entry in filter(None, text.split(",")):
        name, _, rest = entry.partition("=")
        action, _, rest = rest.partition("@")
        passage, _, folder = rest.partition(":")
        if name not in FAILPOINTS or action not in _SIGNALS:
            raise ValueError(f"{VARIABLE}: {entry!r} does not name a failpoint and an action")
        places[name] = _Armed(_SIGNALS[action], int(passage), Path(folder) / name)
    lock = Lock()

    def pass_by(name: str) -> None:
        place = places.get(name)
        if place is not None:
            with lock:
                place.pass_by()

    return pass_by


def _off(_name: str) -> None:
    """Nothing happens here outside of tests."""


failpoint: Callable[[str], None] = armed(os.environ[VARIABLE]) if VARIABLE in os.environ else _off
"""Act as armed when the code passes the place of that name."""
