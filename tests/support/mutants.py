"""Change the code in small ways, one at a time, and count which changes the fast tests notice.

``make mutants`` runs mutmut over one part of the code after the other, in a copy of the project,
against the unit and contract tests that concern the part, and writes the table of
docs/reliability.md. ``make mutants AREA=leases`` runs one part; the others keep their rows. The
names of the changes that no test noticed are printed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.fault_record import PAGE, ROOT, put_table

WANTED_PERCENT = 85
_KILLED = frozenset({"killed", "timeout", "segfault"})
_COPIED = ("dataworks_tasks", "producer", "benchmarks", "tests", "profiles", "docs")


class Area(NamedTuple):
    """Modules of ``dataworks_tasks``, and the tests that should notice a change of them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


AREAS: Mapping[str, Area] = {
    "ledger": Area(
        (
            "ledger/acknowledged_ranges",
            "ledger/failure_records",
            "ledger/planned_slices",
            "ledger/redis_ledger",
            "ledger/run_progress",
            "ledger/run_records",
            "ledger/tokens",
        ),
        (
            "contract/test_acknowledged_ranges.py",
            "contract/test_ledger.py",
            "contract/test_planned_slices.py",
            "contract/test_run_history.py",
            "contract/test_run_records.py",
        ),
    ),
    "messages": Area(
        ("broker/envelope", "broker/messages", "broker/run_queue"),
        ("unit/broker", "unit/test_range_message.py"),
    ),
    "send window": Area(
        ("ledger/send_window", "drive/watch_messages", "worker/range_turn"),
        (
            "contract/test_send_window.py",
            "unit/drive/test_watch_messages.py",
            "unit/worker/test_range_turn.py",
        ),
    ),
    "retry rules": Area(
        (
            "backoff",
            "store/driver_errors",
            "store/retrying",
            "unexpected",
            "worker/failures",
            "worker/poison",
        ),
        (
            "unit/test_backoff.py",
            "unit/test_unexpected.py",
            "unit/store/test_driver_errors.py",
            "unit/store/test_retrying.py",
            "unit/worker/test_failures.py",
            "unit/worker/test_poison.py",
        ),
    ),
    "comparison": Area(
        ("verify/comparison", "verify/field_order", "verify/result"),
        ("unit/verify", "unit/migrate/test_document_comparison.py"),
    ),
    "leases": Area(
        (
            "drive/held_lease",
            "ledger/driver_leases",
            "ledger/heartbeat",
            "runs/lease",
            "worker/finish_lease",
        ),
        (
            "unit/drive/test_held_lease.py",
            "unit/test_finish_lease.py",
            "contract/test_driver_leases.py",
        ),
    ),
}


def settings(area: Area) -> str:
    """Return what ``pyproject.toml`` says to mutmut."""
    values = {
        "source_paths": ["dataworks_tasks"],
        "only_mutate": [f"dataworks_tasks/{module}.py" for module in area.modules],
        "also_copy": [name for name in _COPIED if name not in ("dataworks_tasks", "tests")],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "--timeout", "60"],
        "pytest_add_cli_args_test_selection": [f"tests/{test}" for test in area.tests],
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n[tool.mutmut]\n" + "\n".join(lines) + "\n"


def read_outcomes(text: str) -> dict[str, str]:
    """Return each mutant's outcome, from what ``mutmut results --all true`` prints."""
    lines = (line.strip().rpartition(": ") for line in text.splitlines())
    return {name: outcome for name, _, outcome in lines if "__mutmut_" in name}


def run_area(area: Area) -> dict[str, str]:
    """Change the area's modules in a copy of the project; return each change's outcome."""
    with tempfile.TemporaryDirectory(prefix="dataworks-mutants-") as place:
        folder = Path(place)
        for name in _COPIED:
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        shutil.copy(ROOT / "README.md", folder)
        project = (ROOT / "pyproject.toml").read_text()
        (folder / "pyproject.toml").write_text(project + settings(area))
        mutmut = (sys.executable, "-m", "mutmut")
        processes = str(os.cpu_count() or 1)
        subprocess.run((*mutmut, "run", "--max-children", processes), cwd=folder, check=True)
        done = subprocess.run(
            (*mutmut, "results", "--all", "true"),
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        outcomes = read_outcomes(done.stdout)
        for name, outcome in outcomes.items():
            if outcome not in _KILLED:
                sys.stdout.write(f"{outcome}: {name}\n")
        return outcomes


class Figures(NamedTuple):
    """How many changes of an area were made, and how many percent of them a test noticed."""

    changes: int
    percent: int

    @classmethod
    def of(cls, outcomes: Iterable[str]) -> Figures:
        """Count outcomes of mutmut's."""
        counts = Counter(outcome in _KILLED for outcome in outcomes)
        return cls(counts.total(), round(100 * counts[True] / counts.total()))


def read_table(page: str) -> dict[str, Figures]:
    """Return the figures of a page that ``mutants_table`` was written into, by area."""
    rows = re.findall(r"^\| (.+) \| ([\d,]+) \| (\d+)% \|$", page, re.MULTILINE)
    found = {name: Figures(int(count.replace(",", "")), int(share)) for name, count, share in rows}
    return {name: found[name] for name in AREAS if name in found}


def mutants_table(figures: Mapping[str, Figures]) -> str:
    """Return the rows in Markdown, one for each area that was ever run."""
    lines = ["| code | changes | noticed by a fast test |", "| --- | --- | --- |"]
    lines += (
        f"| {name} | {figures[name].changes:,} | {figures[name].percent}% |"
        for name in AREAS
        if name in figures
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the areas, write the table, and exit 1 unless enough is noticed."""
    for name in sys.argv[1:] or list(AREAS):
        found = Figures.of(run_area(AREAS[name]).values())
        figures = {**read_table(PAGE.read_text()), name: found}
        put_table("mutants", mutants_table(figures), PAGE)
    figures = read_table(PAGE.read_text())
    sys.stdout.write(mutants_table(figures))
    sys.exit(0 if all(found.percent >= WANTED_PERCENT for found in figures.values()) else 1)


if __name__ == "__main__":
    main()
