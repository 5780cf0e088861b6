"""A supervisor that starts Celery workers as forks of a process that has imported everything.

``python -m celery`` spends most of a second of CPU on imports, which hundreds of tests would pay.
A fork of this process is a process in a session of its own as usual, with its own environment,
folder and log. Workers with another ``PYTHONPATH`` than the tests' start in the ordinary way.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from typing import NoReturn

from dataworks_tasks import failpoints
from producer.local import supervisor
from producer.local.child_command import ChildCommand
from producer.local.children import Children
from producer.local.process_control import die_with_parent
from producer.local.services import LocalServices

_CELERY = (sys.executable, "-m", "celery")
_IMPORTED_FIRST = (
    "celery.__main__",
    "celery.apps.worker",
    "celery.bin.worker",
    "celery.concurrency.prefork",
    "celery.worker.consumer",
    "dataworks_tasks.tasks",
    "dataworks_tasks.worker.report",
    "kombu.transport.redis",
)
_OURS = ("dataworks_tasks.", "producer.")
_AS_A_PROGRAM_FINDS_THEM = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE),
)


class WarmServices(LocalServices):
    """Local services whose workers start warm."""

    supervisor = __name__


class WarmChildren(Children):
    """Children whose Celery workers are forks of this process."""

    def _launch(self, command: ChildCommand) -> subprocess.Popen[bytes]:
        environment = command.environment
        here = os.environ.get("PYTHONPATH")
        if command.arguments[:3] != _CELERY or environment.get("PYTHONPATH") != here:
            return super()._launch(command)
        for module in _IMPORTED_FIRST:
            importlib.import_module(module)
        gc.freeze()  # or a collection in a worker copies every page
        in_child = die_with_parent(command.stop.orphan_signal)
        sys.stderr.flush()
        if (pid := os.fork()) == 0:
            try:
                os.setsid()
                in_child()
                self._become(command)
            finally:
                traceback.print_exc()
                os._exit(1)
        return _Forked(pid)

    def _become(self, command: ChildCommand) -> NoReturn:
        """Be what ``command`` starts."""
        signal.set_wakeup_fd(-1)
        for number in _AS_A_PROGRAM_FINDS_THEM:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        log = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for standard, file in enumerate((nothing, log, log)):
            os.dup2(file, standard)
        lock = self._folder_lock
        os.closerange(3, lock)
        os.closerange(lock + 1, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65_536))
        os.set_inheritable(lock, True)
        os.chdir(command.folder)
        os.environ.clear()
        os.environ.update(command.environment)
        _arm_failpoints()
        tempfile.tempdir = None
        sys.path[0] = os.getcwd()
        sys.argv = ["celery", *command.arguments[3:]]
        code = 0
        try:
            sys.modules["celery.__main__"].main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _arm_failpoints() -> None:
    """Arm those of the environment, in every module that took ``failpoint`` when it was off."""
    text = os.environ.get(failpoints.VARIABLE)
    if text is None:
        return
    off, armed = failpoints.failpoint, failpoints.armed(text)
    for name, module in list(sys.modules.items()):
        if name.startswith(_OURS) and vars(module).get("failpoint") is off:
            module.failpoint = armed  # type: ignore[attr-defined]


class _Forked(subprocess.Popen[bytes]):
    """As much of a Popen as the supervisor looks at."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode = None

    def __del__(self) -> None:
        """Nothing is open."""


if __name__ == "__main__":
    sys.exit(supervisor.main(WarmChildren))
