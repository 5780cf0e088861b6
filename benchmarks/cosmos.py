"""``python -m benchmarks.cosmos``: a simulated account and a budget, as a user types them.

``dataworks local --cosmos RU``, then ``generate`` and ``verify`` in the same folder. Exits 1 unless
the target holds exactly the requested documents, no failure is on record, and the account's charge
per second is within 5 % of the budget, on average and in any ten seconds. ``--refusals`` measures
what refusals cost instead.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGINT, default_int_handler, signal
from typing import Any

import pymongo

from benchmarks.refusals import measure_refusals, print_refusals
from benchmarks.templates import flat
from benchmarks.virtual_refusals import SEEDS, virtual_refusals
from producer.cosmos_simulator.client_connection import STATISTICS_COMMAND

_DATAWORKS = (sys.executable, "-m", "producer")
_ENDS_SECONDS = 2
"""Not everybody works in the first and the last seconds."""
_WINDOW_SECONDS = 10
_TOLERANCE = 0.05
_A_QUESTION_RU = 50.0
"""Seconds before and after the run, which have questions only, charge no more than this."""


@dataclass(frozen=True, slots=True)
class BudgetRun:
    """The outcome of a run within ``budget`` RU/s; rates are those that the account charged."""

    documents: int
    found: int
    failures: int
    budget: float
    average: float
    most_in_ten_seconds: float
    requests: int
    throttled_requests: int

    @property
    def kept(self) -> bool:
        """Whether the set is exact and the budget was used, and no more."""
        most = (1 + _TOLERANCE) * self.budget
        within = (1 - _TOLERANCE) * self.budget <= self.average <= most
        exact = self.found == self.documents and not self.failures
        return exact and within and self.most_in_ten_seconds <= most


def main() -> None:
    """Run, print the figures, and exit 1 unless every promise is kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cosmos", description=__doc__)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--ru", type=float, default=5000.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--refusals", action="store_true", help="what refusals cost, instead")
    chosen = parser.parse_args()
    if chosen.refusals:
        print(f"in virtual time, the worst of {len(SEEDS)} seeds:")
        kept = print_refusals(*virtual_refusals(), noise=0.0)
        print("with workers and an account:")
        measured = print_refusals(*measure_refusals(local_services, run_command))
        sys.exit(0 if kept and measured else 1)
    run = within_budget(chosen.documents, chosen.ru, chosen.workers)
    print(f"{run.found:,} of {run.documents:,} documents, {run.failures} failures or differences")
    print(f"{run.average:,.0f} RU/s of {run.budget:,.0f}, {run.average / run.budget:.1%}")
    print(f"at most {run.most_in_ten_seconds:,.0f} RU/s over {_WINDOW_SECONDS} seconds")
    print(f"{run.throttled_requests:,} of {run.requests:,} requests throttled")
    sys.exit(0 if run.kept else 1)


def within_budget(documents: int, ru: float, workers: int) -> BudgetRun:
    """Generate documents of 160 bytes into an account of ``ru`` RU/s with that budget."""
    with tempfile.TemporaryDirectory(prefix="dataworks-cosmos-") as place:
        folder = Path(place)
        (folder / "flat.json").write_text(json.dumps(flat()))
        with local_services(folder, ru, workers) as account:
            asked = ("--total", documents, "--max-ru", ru)
            made = run_command(folder, "generate", "flat.json", *asked)
            with pymongo.MongoClient[dict[str, Any]](account) as client:
                reported = client.admin.command(STATISTICS_COMMAND)
                found = client["dataworks"]["flat"].count_documents({})
            compared = run_command(folder, "verify", made["run"])
    seconds = _rates(reported["ru_per_second"])
    windows = range(max(1, len(seconds) - _WINDOW_SECONDS + 1))
    most = max(sum(seconds[at : at + _WINDOW_SECONDS]) for at in windows)
    inner = seconds[_ENDS_SECONDS:-_ENDS_SECONDS]
    return BudgetRun(
        documents=documents,
        found=found,
        failures=made["failures"] + compared["failures"],
        budget=ru,
        average=sum(inner) / len(inner),
        most_in_ten_seconds=most / _WINDOW_SECONDS,
        requests=reported["requests"],
        throttled_requests=reported["throttled_requests"],
    )


def _rates(reported: Sequence[tuple[int, float]]) -> list[float]:
    """RU charged in each second from the first to the last in which any were."""
    charged = {second: ru for second, ru in reported if ru > _A_QUESTION_RU}
    return [charged.get(second, 0.0) for second in range(min(charged), max(charged) + 1)]


@contextmanager
def local_services(folder: Path, ru: float, workers: int) -> Iterator[str]:
    """``dataworks local`` until Ctrl-C; the address of its account."""
    signal(SIGINT, default_int_handler)  # a shell makes commands that it starts with & ignore it
    options = ("--cosmos", str(ru), "--workers", str(workers), "--no-flower", "--json")
    local = subprocess.Popen(
        (*_DATAWORKS, "local", *options),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert local.stdout is not None
        reported = local.stdout.readline()
        if not reported:
            raise RuntimeError("the local services did not start")
        yield str(json.loads(reported)["settings"]["FRAMEWORK_TARGET_DB_CONNECTION_STRING"])
    finally:
        local.send_signal(SIGINT)
        local.communicate()


def run_command(folder: Path, *arguments: object) -> Mapping[str, Any]:
    """Run a command with ``--json`` and return its output. Raises RuntimeError if it fails."""
    command = (*_DATAWORKS, *map(str, arguments), "--json")
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    found: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
