"""Change the code in small ways, one at a time, and count which changes the fast tests notice.

``make mutants`` runs mutmut over one part of the code after the other, in a copy of the project,
against the unit and contract tests that concern the part, and writes the table of
docs/reliability.md. ``make mutants AREA=leases`` runs one part; the others keep their rows.
``SAMPLE=300`` tries that many changes of a part, drawn at random; ``SEED=n`` draws others. What
each change that no test noticed looks like is printed.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
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
            "contract/test_send_window.py",
            "contract/test_standstill.py",
            "contract/test_window_ledger.py",
        ),
    ),
    "messages": Area(
        ("broker/envelope", "broker/messages", "broker/run_queue"),
        ("unit/broker", "unit/test_range_message.py"),
    ),
    "dispatch": Area(
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


# mutmut makes the changes when it runs; a sample needs their names before that.
_LIST_CHANGES = """
import sys
from pathlib import Path
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name
from tests.support.mutants import changes_of_behavior
for file in map(Path, sys.argv[1:]):
    mutated = mutate_file_contents(str(file), file.read_text())
    for name in changes_of_behavior(mutated.code, mutated.mutant_names):
        print(get_mutant_name(file, name))
"""


_SHOW_CHANGES = """
import sys
from mutmut.mutation.diff_apply import find_mutant, get_diff_for_mutant
for name in sys.argv[1:]:
    print(get_diff_for_mutant(name, path=find_mutant(name).path))
"""


class Result(NamedTuple):
    """The outcome of each change that was tried, and how many changes there are."""

    outcomes: Mapping[str, str]
    changes: int


def settings(area: Area) -> str:
    """Return what ``pyproject.toml`` says to mutmut."""
    values = {
        "source_paths": ["dataworks_tasks"],
        "only_mutate": _files(area),
        "also_copy": [name for name in _COPIED if name not in ("dataworks_tasks", "tests")],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "--timeout", "600"],
        "pytest_add_cli_args_test_selection": [f"tests/{test}" for test in area.tests],
        # The tests are imported once; each change is tried in a fork.
        "process_isolation": "forkserver",
        # A test that a busy machine holds up has not noticed anything.
        "timeout_multiplier": 60,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n[tool.mutmut]\n" + "\n".join(lines) + "\n"


def read_outcomes(text: str) -> dict[str, str]:
    """Return each mutant's outcome, from what ``mutmut results --all true`` prints."""
    lines = (line.strip().rpartition(": ") for line in text.splitlines())
    return {name: outcome for name, _, outcome in lines if "__mutmut_" in name}


class _CastTypes(ast.NodeTransformer):
    """Takes away the type that ``cast`` names: nothing reads it when the code runs."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "cast" and len(node.args) == 2:
            node.args = node.args[1:]
        return node


def changes_of_behavior(code: str, names: Sequence[str]) -> list[str]:
    """Return the functions of mutmut's that do something else than the original next to them."""
    bodies = {
        node.name: [ast.dump(statement) for statement in node.body]
        for node in ast.walk(_CastTypes().visit(ast.parse(code)))
        if isinstance(node, ast.FunctionDef)
    }
    originals = {name: f"{name.rpartition('__mutmut_')[0]}__mutmut_orig" for name in names}
    return [name for name in names if bodies[name] != bodies[originals[name]]]


def run_area(area: Area, sample: int | None = None, seed: int = 0) -> Result:
    """Change the area's modules in a copy of the project; return each change's outcome."""
    with tempfile.TemporaryDirectory(prefix="dataworks-mutants-") as place:
        folder = Path(place)
        _copy_project(folder, area)
        names = _mutmut_output(folder, "-c", _LIST_CHANGES, *_files(area)).split()
        tried = random.Random(seed).sample(names, min(sample or len(names), len(names)))
        # Twice as many as there are processors: some of the changes make a test wait.
        processes = str(2 * (os.cpu_count() or 1))
        run = (sys.executable, "-m", "mutmut", "run", "--max-children", processes, *tried)
        subprocess.run(run, cwd=folder, check=True)
        found = read_outcomes(_mutmut_output(folder, "-m", "mutmut", "results", "--all", "true"))
        outcomes = {name: found[name] for name in tried}
        left = sorted(name for name, outcome in outcomes.items() if outcome not in _KILLED)
        sys.stdout.write(_mutmut_output(folder, "-c", _SHOW_CHANGES, *left))
        return Result(outcomes, len(names))


def _files(area: Area) -> list[str]:
    return [f"dataworks_tasks/{module}.py" for module in area.modules]


def _copy_project(folder: Path, area: Area) -> None:
    for name in _COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", folder)
    project = (ROOT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(project + settings(area))


def _mutmut_output(folder: Path, *arguments: str) -> str:
    command = (sys.executable, *arguments)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


class Figures(NamedTuple):
    """How many changes an area has, how many were tried, and the percentage that a test noticed."""

    changes: int
    tried: int
    percent: int

    @classmethod
    def of(cls, result: Result) -> Figures:
        """Count outcomes of mutmut's."""
        noticed = sum(outcome in _KILLED for outcome in result.outcomes.values())
        tried = len(result.outcomes)
        return cls(result.changes, tried, round(100 * noticed / tried))

    @property
    def tried_text(self) -> str:
        """Say how many were tried."""
        return "all" if self.tried == self.changes else f"{self.tried:,} at random"


def read_table(page: str) -> dict[str, Figures]:
    """Return the figures of a page that ``mutants_table`` was written into, by area."""
    rows = re.findall(
        r"^\| (.+) \| ([\d,]+) \| (?:all|([\d,]+) at random) \| (\d+)% \|$", page, re.MULTILINE
    )
    found = {
        name: Figures(_number(changes), _number(tried or changes), _number(percent))
        for name, changes, tried, percent in rows
    }
    return {name: found[name] for name in AREAS if name in found}


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def mutants_table(figures: Mapping[str, Figures]) -> str:
    """Return the rows in Markdown, one for each area that was ever run."""
    lines = ["| code | changes | tried | noticed by a fast test |", "| --- | --- | --- | --- |"]
    lines += (
        f"| {name} | {figures[name].changes:,} | {figures[name].tried_text} "
        f"| {figures[name].percent}% |"
        for name in AREAS
        if name in figures
    )
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("areas", nargs="*", metavar="AREA", help=", ".join(AREAS))
    parser.add_argument("--sample", type=int, help="try so many changes of each area")
    parser.add_argument("--seed", type=int, default=0, help="draw another sample")
    return parser.parse_args()


def main() -> None:
    """Run the areas, write the table, and exit 1 unless enough is noticed."""
    options = _arguments()
    for name in options.areas or list(AREAS):
        found = Figures.of(run_area(AREAS[name], options.sample, options.seed))
        figures = {**read_table(PAGE.read_text()), name: found}
        put_table("mutants", mutants_table(figures), PAGE)
    figures = read_table(PAGE.read_text())
    sys.stdout.write(mutants_table(figures))
    sys.exit(0 if all(found.percent >= WANTED_PERCENT for found in figures.values()) else 1)


if __name__ == "__main__":
    main()
