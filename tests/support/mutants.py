"""Change the code in small ways, one at a time, and count which changes the fast tests notice.

``make mutants`` runs mutmut over what ``pyproject.toml`` lists, against unit and contract tests,
and writes the table of docs/reliability.md. ``mutmut results`` names those that survived, ``mutmut
show NAME`` prints one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping

from tests.support.fault_record import PAGE, ROOT, put_table

WANTED_SHARE = 0.85
_KILLED = frozenset({"killed", "timeout", "segfault"})
_AREAS: Mapping[str, tuple[str, ...]] = {
    "ledger": (
        "ledger.acknowledged_ranges",
        "ledger.failure_records",
        "ledger.planned_slices",
        "ledger.redis_ledger",
        "ledger.run_progress",
        "ledger.run_records",
        "ledger.tokens",
    ),
    "messages": ("broker.envelope", "broker.messages", "broker.run_queue"),
    "send window": ("ledger.send_window", "drive.watch_messages", "worker.range_turn"),
    "retry rules": (
        "backoff",
        "store.driver_errors",
        "store.retrying",
        "unexpected",
        "worker.failures",
        "worker.poison",
    ),
    "comparison": ("verify.comparison", "verify.field_order", "verify.result"),
    "leases": (
        "drive.held_lease",
        "ledger.driver_leases",
        "ledger.heartbeat",
        "runs.lease",
        "worker.finish_lease",
    ),
}


def read_outcomes(text: str) -> dict[str, str]:
    """Return each mutant's outcome, from what ``mutmut results --all true`` prints."""
    lines = (line.strip().rpartition(": ") for line in text.splitlines())
    return {name: outcome for name, _, outcome in lines if "__mutmut_" in name}


def area_of(mutant: str) -> str:
    """Return which part of the code a mutant belongs to."""
    module = mutant.removeprefix("dataworks_tasks.")
    return next(
        area for area, names in _AREAS.items() if any(module.startswith(f"{n}.") for n in names)
    )


def share_killed(outcomes: Iterable[str]) -> float:
    """Return the share of mutants that a test noticed."""
    counts = Counter(outcome in _KILLED for outcome in outcomes)
    return counts[True] / counts.total()


def mutants_table(outcomes: Mapping[str, str]) -> str:
    """Return the rows in Markdown, one for each part of the code and one for all."""
    lines = ["| code | changes | noticed by a fast test |", "| --- | --- | --- |"]
    for area in _AREAS:
        found = [outcome for name, outcome in outcomes.items() if area_of(name) == area]
        if found:
            lines.append(f"| {area} | {len(found):,} | {share_killed(found):.0%} |")
    lines.append(f"| all | {len(outcomes):,} | {share_killed(outcomes.values()):.0%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run mutmut, write the table, and exit 1 unless enough is noticed."""
    mutmut = (sys.executable, "-m", "mutmut")
    processes = str(max(1, os.cpu_count() or 1))
    subprocess.run((*mutmut, "run", "--max-children", processes), cwd=ROOT, check=True)
    done = subprocess.run(
        (*mutmut, "results", "--all", "true"), cwd=ROOT, capture_output=True, text=True, check=True
    )
    outcomes = read_outcomes(done.stdout)
    put_table("mutants", mutants_table(outcomes), PAGE)
    sys.stdout.write(mutants_table(outcomes))
    sys.exit(0 if share_killed(outcomes.values()) >= WANTED_SHARE else 1)


if __name__ == "__main__":
    main()
