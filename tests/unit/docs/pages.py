"""The examples of the pages, and how to run them.

A ```console or ```bash block has a comment right above it:

    <!-- run -->                 it runs in an empty folder, without any server
    <!-- run with services -->   it runs with Redis, MongoDB and workers
    <!-- not run: reason -->

A page's blocks run in order, in one folder. In a console block ``$ `` begins a command, and what
follows is its output, in which ``...`` matches anything. ``RUN`` is the newest run's id.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.warm_commands import WARM

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

RUN = "run"
WITH_SERVICES = "run with services"
NOT_RUN = "not run: "

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<language>console|bash)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Example:
    """A block of commands on a page."""

    page: str
    line: int
    mark: str | None
    is_console: bool
    text: str

    def steps(self) -> Iterator[tuple[str, str]]:
        """Commands, each with the output it should have; an empty output is not compared."""
        if not self.is_console:
            yield self.text, ""
            return
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, output = _continued(part)
            yield command, output


def examples(path: Path) -> list[Example]:
    """Return the page's blocks of commands."""
    text = path.read_text()
    return [
        Example(
            page=path.name,
            line=text[: found.start("text")].count("\n"),
            mark=found["mark"],
            is_console=found["language"] == "console",
            text=found["text"],
        )
        for found in _BLOCK.finditer(text)
    ]


def run_examples(path: Path, mark: str, folder: Path, settings: Mapping[str, str]) -> int:
    """Run the page's blocks that have ``mark``; say how many commands that were."""
    environment = _environment(folder, settings)
    (folder / ".bin").mkdir(exist_ok=True)
    WARM.install(folder / ".bin")
    count = 0
    for example in examples(path):
        if example.mark != mark:
            continue
        for command, output in example.steps():
            _run(example, command, output, folder, environment)
            count += 1
    return count


def _run(
    example: Example, command: str, output: str, folder: Path, environment: dict[str, str]
) -> None:
    if re.search(r"\bRUN\b", command):
        run_id = _newest_run(folder, environment)
        command, output = (re.sub(r"\bRUN\b", run_id, text) for text in (command, output))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    place = f"{example.page}:{example.line}: {command.strip()}\n{done.stdout}"
    if output.strip():
        assert _matches(output, done.stdout), place
    else:
        assert done.returncode == 0, place


def _matches(expected: str, printed: str) -> bool:
    """Whether it printed that, with ``...`` for anything and spacing as it comes."""
    pattern = ".*".join(re.escape(part) for part in " ".join(expected.split()).split("..."))
    return re.fullmatch(pattern, " ".join(printed.split())) is not None


def _continued(part: str) -> tuple[str, str, str]:
    """Return the lines of a command, including a here-document, and the rest."""
    lines = part.splitlines(keepends=True)
    count = 1
    here = re.search(r"<<'?(\w+)'?", lines[0])
    while count < len(lines) and (
        lines[count - 1].rstrip().endswith("\\") or (here and lines[count - 1].strip() != here[1])
    ):
        count += 1
    return "".join(lines[:count]), "", "".join(lines[count:])


def _newest_run(folder: Path, environment: dict[str, str]) -> str:
    done = WARM.run(["runs", "--json", "--limit", "1"], environment, folder, 60)
    return str(json.loads(done.stdout)["run"])


def _environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    programs = str(Path(sys.executable).parent)
    kept = {name: os.environ[name] for name in ("LANG", "PYTHONPATH") if name in os.environ}
    return {
        **kept,
        "PATH": os.pathsep.join([str(folder / ".bin"), programs, os.environ["PATH"]]),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "COLUMNS": "100",
        **settings,
    }
