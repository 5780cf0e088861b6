"""DataWorks as a user installs it: the wheel alone, outside of the checkout, nothing for tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any, Self

from tests.fleet import wait_until
from tests.support.json_output import check_output

INSTALL_SECONDS = 300
COMMAND_SECONDS = 60
STOP = {"dataworks": SIGINT, "celery": SIGTERM}


@dataclass(frozen=True, slots=True)
class PlainInstall:
    """A virtual environment of its own, and a folder to run its programs in."""

    environment_folder: Path
    folder: Path
    variables: Mapping[str, str] = field(repr=False)

    @classmethod
    def make(cls, wheel: Path, constraints: Path, folder: Path, servers: Mapping[str, str]) -> Self:
        """Install ``wheel`` with what it requires. ``servers``: VALKEY_BIN and MONGOD_BIN."""
        environment, work = folder / "venv", folder / "work"
        work.mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
        options = ["--quiet", "--disable-pip-version-check", "-c", str(constraints)]
        subprocess.run([*pip, "install", *options, wheel], check=True, timeout=INSTALL_SECONDS)
        path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
        kept = {name: os.environ[name] for name in ("LANG",) if name in os.environ}
        variables = {**kept, "PATH": path, "HOME": str(work), "TMPDIR": str(folder), **servers}
        return cls(environment, work, variables)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end."""
        return subprocess.run(
            [self.environment_folder / "bin" / program, *arguments],
            env=dict(self.variables),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        """Return the last line that a ``dataworks`` command prints with ``--json``."""
        done = self.run("dataworks", *arguments, "--json")
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        found: dict[str, Any] = check_output(arguments, done.stdout)[-1]
        return found

    @contextmanager
    def serving(self, ready: str, program: str, *arguments: str, **more: str) -> Iterator[Path]:
        """Run a program that stays, from when it prints ``ready``, and end it by ``STOP``.

        ``more``: environment variables. Yields the file that holds its output.
        """
        log = self.folder / f"{program}-{arguments[0]}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [self.environment_folder / "bin" / program, *arguments],
                env={**self.variables, **more},
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

        def is_ready() -> bool:
            assert process.poll() is None, f"{program} ended: {log.read_text()}"
            return ready in log.read_text()

        try:
            wait_until(is_ready, f"{program} says {ready!r}")
            yield log
            # Celery's exit code is 1 after Ctrl-C, and 0 after SIGTERM.
            process.send_signal(SIGTERM if arguments[0] == "worker" else STOP[program])
            code = process.wait(COMMAND_SECONDS)
            assert code in {0, 130}, f"exit {code}: {log.read_text()}"
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
