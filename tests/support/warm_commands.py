"""Run ``dataworks`` commands in forks of a process that has imported everything already.

A command starts in milliseconds that way, where Python and its imports take more than a second of
CPU. It has its own environment, folder, output and exit code as usual. Commands that a test kills
or signals are started as processes of their own: ``Fleet.start``.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import random
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_POLL_SECONDS = 0.01
_LONGEST_REQUEST = 1_000_000
_ALSO_IMPORTED = (
    "celery.app.amqp",
    "dataworks_tasks.celery_app",
    "dataworks_tasks.broker.checked_transport",
    "dataworks_tasks.generate.custom.factory",
    "dataworks_tasks.generate.templates.load_template",
    "dataworks_tasks.store.cosmosdb",
    "dataworks_tasks.store.mongodb",
    "dataworks_tasks.worker.work_factory",
    "faker",
    "kombu.transport.redis",
)

# Not ``-m``: click would take the module for the program's name.
_SERVER = "import sys; from tests.support.warm_commands import serve; sys.exit(serve(sys.argv[1]))"

_SHIM = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({path!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [request], [0, 1, 2])
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(20) or 1))
"""


class WarmCommands:
    """The process, started when it is first needed. It ends when this process does."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="dw-", ignore_cleanup_errors=True)

    @property
    def _path(self) -> str:
        return f"{self._folder.name}/socket"

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``dataworks ARGUMENTS`` to its end."""
        self._start()
        with (
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
            Path(os.devnull).open() as nothing,
            socket.socket(socket.AF_UNIX) as server,
        ):
            server.settimeout(seconds)
            server.connect(self._path)
            request = json.dumps([list(arguments), str(folder), dict(environment)]).encode()
            files = [nothing.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(server, [request], files)
            server.shutdown(socket.SHUT_WR)
            answer = server.recv(20)
            assert answer, "the process that runs commands has ended"
            code = int(answer)
            out.seek(0)
            err.seek(0)
            command = ["dataworks", *arguments]
            return subprocess.CompletedProcess(command, code, out.read(), err.read())

    def install(self, folder: Path) -> Path:
        """Put a ``dataworks`` program that comes here into a folder, for a shell's PATH."""
        self._start()
        program = folder / "dataworks"
        program.write_text(_SHIM.format(python=sys.executable, path=self._path))
        program.chmod(0o700)
        return program

    def close(self) -> None:
        """End it; running commands continue."""
        self._end()
        self._folder.cleanup()

    def _end(self) -> None:
        if self._process is not None:
            self._process.communicate()

    def _start(self) -> None:
        if self._process is None or self._process.poll() is not None:
            # Started again where it has ended: one lost process must not fail all later tests.
            self._end()
            Path(self._path).unlink(missing_ok=True)
            self._process = None
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVER, self._path],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == "ready\n"
            except BaseException:  # a test's time is up on a busy machine, say
                process.kill()
                process.communicate()
                raise
            self._process = process


WARM = WarmCommands()
atexit.register(WARM.close)


def serve(path: str) -> int:
    """Fork for every request until standard input ends; in the fork, the command's exit code."""
    import producer

    # Commands import what they need when they run.
    for module in pkgutil.walk_packages(producer.__path__, "producer."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
    for name in _ALSO_IMPORTED:
        importlib.import_module(name)
    running: dict[int, socket.socket] = {}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            watched: list[socket.socket | int] = [listener, 0]
            ready, _, _ = select.select(watched, [], [], _POLL_SECONDS if running else None)
            if 0 in ready:
                return 0
            if listener in ready:
                client, _ = listener.accept()
                if (child := os.fork()) == 0:
                    return _command(client)
                running[child] = client
            _report(running)


def _report(running: dict[int, socket.socket]) -> None:
    for child in list(running):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            # A test that ran out of time has left; the others still need this process.
            with running.pop(child) as client, suppress(ConnectionError):
                client.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _command(client: socket.socket) -> int:
    from producer.cli import main

    request, files, _, _ = socket.recv_fds(client, _LONGEST_REQUEST, 3)
    while part := client.recv(_LONGEST_REQUEST):
        request += part
    client.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (open(0), open(1, "w"), open(2, "w"))  # noqa: SIM115
    arguments, folder, environment = json.loads(request)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    random.seed()
    sys.argv = ["dataworks", *arguments]
    main()
    return 0
