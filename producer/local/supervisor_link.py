"""The command's end of the link to the supervisor: starts it, sends requests, and ends it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from signal import Signals
from typing import IO, Any, NamedTuple, cast

from dataworks_tasks.errors import StoreUnavailable, UsageError
from producer.local.child_command import ChildCommand
from producer.local.disk_space import unwritable

SUPERVISOR = "producer.local.supervisor"
START_LIMIT_SECONDS = 20.0
ANSWER_LIMIT_SECONDS = 30.0
"""Longer than the grace of any service."""
CLOSE_LIMIT_SECONDS = 45.0
SECRET_PREFIX = "FRAMEWORK_"  # noqa: S105
"""Settings may hold connection strings, which the supervisor has no use for."""

Message = dict[str, Any]


class ServiceExit(NamedTuple):
    """A service that ended without being asked to."""

    name: str
    pid: int
    returncode: int


class SupervisorLink:
    """One supervisor process, from construction to ``close``. Safe to use from several threads."""

    def __init__(self, place: Sequence[str], module: str = SUPERVISOR) -> None:
        """Start a supervisor with its ``--folder PATH`` or ``--temporary``."""
        self.exits: queue.SimpleQueue[ServiceExit | None] = queue.SimpleQueue()
        """Every service that ended unasked; None once the supervisor itself is gone."""
        self.returncodes: dict[int, int] = {}
        """The return codes of the services that ended unasked, by process id."""
        self._lock = threading.Lock()
        self._last_request = 0
        self._answers: dict[int, queue.SimpleQueue[Message]] = {}
        self._first: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", module),
                *("--parent", str(os.getpid())),
                *place,
            ],
            env={k: v for k, v in os.environ.items() if not k.startswith(SECRET_PREFIX)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._stdin = cast(IO[bytes], self._process.stdin)
        self._stdout = cast(IO[bytes], self._process.stdout)
        self._reader = threading.Thread(target=self._read, name="supervisor-reader", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    def wait_for_folder(self) -> Path | None:
        """Wait for the services' folder; None if another supervisor has it.

        Raises UsageError if nothing can be written there.
        """
        first = self._get(self._first, START_LIMIT_SECONDS)
        if first["event"] == "unwritable":
            raise unwritable(first["reason"])
        return Path(first["folder"]) if first["event"] == "ready" else None

    def start(self, command: ChildCommand) -> int:
        """Start a service; return its process id."""
        return cast(int, self._ask(action="start", command=command.to_json())["pid"])

    def stop(self, name: str, signal: Signals | None) -> int | None:
        """Stop a service, with ``signal`` or its own, wait for it and return its exit code."""
        answer = self._ask(action="stop", name=name, signal=signal)
        return cast("int | None", answer["returncode"])

    def restart(self, name: str, signal: Signals | None) -> int:
        """Stop a service if it runs, and start it with the same command; return its process id."""
        return cast(int, self._ask(action="restart", name=name, signal=signal)["pid"])

    def check(self) -> None:
        """Raise StoreUnavailable when the supervisor is gone."""
        if not self._reader.is_alive():
            raise supervisor_lost()

    def close(self) -> None:
        """Stop everything and wait for it."""
        with suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._process.wait(CLOSE_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            # The kernel signals the remaining processes when the supervisor ends.
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._stdout.close()

    def _ask(self, **request: Any) -> Message:
        answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._lock:
            self._last_request += 1
            number = self._last_request
            self._answers[number] = answers
            self._send({"request": number, **request})
        answer = self._get(answers, ANSWER_LIMIT_SECONDS)
        if "error" in answer:
            raise UsageError(f"a local service does not {request['action']}: {answer['error']}")
        return answer

    def _send(self, request: Message) -> None:
        try:
            self._stdin.write(json.dumps(request).encode() + b"\n")
            self._stdin.flush()
        except BrokenPipeError:
            raise supervisor_lost() from None

    def _get(self, source: queue.SimpleQueue[Message], seconds: float) -> Message:
        try:
            answer = source.get(timeout=seconds)
        except queue.Empty:
            raise StoreUnavailable(
                f"the supervisor of the local services did not answer within {seconds:.0f} s"
            ) from None
        if not answer:
            raise supervisor_lost()
        return answer

    def _read(self) -> None:
        for line in self._stdout:
            message = json.loads(line)
            if message.get("event") == "exited":
                ended = ServiceExit(message["name"], message["pid"], message["returncode"])
                self.returncodes[ended.pid] = ended.returncode
                self.exits.put(ended)
            elif "event" in message:
                self._first.put(message)
            else:
                self._answers.pop(message["request"]).put(message)
        self.exits.put(None)
        # An empty message means that no more will come.
        self._first.put({})
        with self._lock:
            for waiting in self._answers.values():
                waiting.put({})


def supervisor_lost() -> StoreUnavailable:
    """Build the error for a supervisor that ended unexpectedly."""
    return StoreUnavailable(
        "the supervisor of the local services was stopped, and the services with it",
        "Start them again with: dataworks local",
    )
