"""The supervisor: a process between the command and its services, so that none is left behind.

``python -m producer.local.supervisor --parent PID (--folder PATH | --temporary)``

It reads requests from stdin and writes answers to stdout, one JSON object a line:

    {"request": 1, "action": "start", "command": {..}}      {"request": 1, "pid": 123}
    {"request": 2, "action": "stop", "name": "x", "signal": 9}
                                                            {"request": 2, "returncode": -9}
    {"request": 3, "action": "restart", "name": "x", "signal": 15}
                                                            {"request": 3, "pid": 124}

A request that fails is answered with ``error``. A child that ends unasked is reported with
``{"event": "exited", "name": .., "pid": .., "returncode": ..}``. The first line is
``{"event": "ready", "folder": ..}`` or ``{"event": "locked"}``.

It lives in its own session, so that Ctrl-C in the terminal reaches only the command. The end of
stdin, a parent that changed, or a signal stops everything: the command may die in any way.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from producer.local.child_command import ChildCommand
from producer.local.children import Child, Children
from producer.local.folder_lock import lock_folder
from producer.local.process_control import adopt_orphans
from producer.local.services_record import RECORD_FILE, find_local_services

PARENT_CHECK_SECONDS = 1.0
"""The pipe closes as soon as the parent dies, unless a fork of the parent holds it open too."""
LOCK_LIMIT_SECONDS = 10.0
"""Services of an earlier supervisor of the folder may still be stopping."""
BUSY_LOCK_LIMIT_SECONDS = 0.5

TEMPORARY_PREFIX = "dataworks-"


class Supervisor:
    """Serves one command until it goes away."""

    def __init__(self, parent: int, children: Children) -> None:
        self._parent = parent
        self._children = children
        self._partial = b""

    def serve(self) -> None:
        """Answer requests until the command ends or this process is asked to stop."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        stops: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: stops.append(received))
        # The wake-up byte is only written if there is a handler.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        with selectors.DefaultSelector() as selector:
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while not stops and os.getppid() == self._parent:
                for key, _ in selector.select(PARENT_CHECK_SECONDS):
                    if key.fd == wake_read:
                        os.read(wake_read, 4096)
                    elif not self._read_requests():
                        return
                self._children.reap()

    def finish(self, janitor: int | None) -> None:
        """Stop every child and kill what they left."""
        self._children.stop_all()
        self._children.sweep(spared=janitor)

    def _read_requests(self) -> bool:
        received = os.read(sys.stdin.fileno(), 65536)
        *lines, self._partial = (self._partial + received).split(b"\n")
        for line in lines:
            request = json.loads(line)
            _tell({"request": request["request"], **self._answer(request)})
        return bool(received)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._perform(request)
        except (OSError, ValueError) as error:
            return {"error": str(error)}
        except KeyError as error:
            return {"error": f"no service is called {error}"}

    def _perform(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["action"]:
            case "start":
                command = ChildCommand.from_json(request["command"])
                return {"pid": self._children.start(command).pid}
            case "stop":
                return {"returncode": self._stop(request).returncode}
            case "restart":
                return {"pid": self._children.start(self._stop(request).command).pid}
        raise ValueError(f"unknown action {request['action']!r}")

    def _stop(self, request: dict[str, Any]) -> Child:
        child = self._children.get(request["name"])
        number = request.get("signal")
        self._children.stop([child], signal.Signals(number) if number else None)
        return child


def _tell(message: dict[str, Any]) -> None:
    """Write one line; a command that is gone does not need to read it."""
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


def _tell_exit(child: Child) -> None:
    _tell(
        {
            "event": "exited",
            "name": child.command.name,
            "pid": child.pid,
            "returncode": child.returncode,
        }
    )


def _start_janitor(folder: Path) -> subprocess.Popen[bytes]:
    """Start a shell that removes ``folder`` when this process ends, even by SIGKILL.

    It tries for a few seconds, because a server that is being killed may still write.
    """
    script = (
        'read -r line; n=0; while ! rm -rf -- "$0" && [ $n -lt 50 ]; do n=$((n+1)); sleep 0.1; done'
    )
    return subprocess.Popen(
        ["/bin/sh", "-c", script, str(folder)],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _open_folder(folder: Path) -> int | None:
    """Prepare ``folder``; return its lock, or None when another supervisor has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    running = find_local_services(folder)
    lock = lock_folder(folder, BUSY_LOCK_LIMIT_SECONDS if running else LOCK_LIMIT_SECONDS)
    if lock is None:
        return None
    (folder / RECORD_FILE).unlink(missing_ok=True)
    (folder / ".gitignore").write_text("*\n")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    return lock


def _log_to(folder: Path) -> None:
    log = os.open(folder / "logs" / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, sys.stderr.fileno())
    os.close(log)


def run(parent: int, folder: Path | None, children: type[Children] = Children) -> int:
    """Serve ``parent`` with services in ``folder`` or a temporary folder; return the exit code."""
    adopt_orphans()
    janitor = None
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX))
        janitor = _start_janitor(folder)
    try:
        lock = _open_folder(folder)
        if lock is None:
            _tell({"event": "locked"})
            return 1
        _log_to(folder)
    except OSError as error:
        _tell({"event": "unwritable", "reason": f"{error.filename or folder}: {error.strerror}"})
        return 1
    supervisor = Supervisor(parent, children(_tell_exit, lock))
    _tell({"event": "ready", "folder": str(folder)})
    try:
        supervisor.serve()
    finally:
        (folder / RECORD_FILE).unlink(missing_ok=True)
        supervisor.finish(janitor.pid if janitor else None)
        if janitor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            janitor.communicate()
    return 0


def main(children: type[Children] = Children) -> int:
    """Read the command line and run; ``children`` is the kind of children to start."""
    parser = argparse.ArgumentParser(prog="producer.local.supervisor", description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--folder", type=Path)
    place.add_argument("--temporary", action="store_true")
    options = parser.parse_args()
    return run(options.parent, options.folder, children)


if __name__ == "__main__":
    sys.exit(main())
