"""What `make test` asks of coverage: lines count in every process, and 92 % of them are run."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LEAST = 92.0


@pytest.fixture(scope="module")
def commands() -> str:
    """Return the commands of ``make coverage``."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make here: apt-get install make")
    done = subprocess.run(
        [make, "--dry-run", "--always-make", "--no-print-directory", "coverage"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_every_test_is_run_and_too_few_lines_are_an_error(commands: str) -> None:
    run, report = (
        next(line for line in commands.splitlines() if f"coverage {verb} " in line)
        for verb in ("run", "report")
    )
    assert run.strip().endswith("--no-loadscope-reorder"), "no test is selected"
    found = re.search(r"--fail-under (\S+)", report)
    assert found is not None
    assert float(found[1]) >= LEAST
    assert commands.index("coverage combine") < commands.index("coverage report")


def test_no_module_is_left_out() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    assert project["run"]["source"] == ["dataworks_tasks", "producer"]
    assert "omit" not in project["run"]
    assert "omit" not in project["report"]
    assert "fail_under" not in project["report"], "a few tests alone do not reach it"


def test_workers_and_commands_count() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    assert {"subprocess", "_exit", "fork"} <= set(project["run"]["patch"])
    assert project["run"]["parallel"]
    assert project["run"]["sigterm"]


def test_make_test_counts_lines_where_that_is_cheap() -> None:
    makefile = (ROOT / "Makefile").read_text()
    check = makefile[makefile.index("\ncheck:") : makefile.index("\nunit:")]
    assert "if $(COUNTS_LINES); then $(MAKE) --no-print-directory coverage" in check
    assert "sys.version_info < (3, 12)" in makefile
