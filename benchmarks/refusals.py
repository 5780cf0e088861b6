"""What refusals cost a fleet: ``python -m benchmarks.cosmos --refusals``.

One long run of ``generate`` into an account without a budget that refuses a share of the documents,
or everything for a while. Rates are documents that arrived, counted at the account. The account
takes a while for each document, so the fleet waits for it and the processor has time to spare.
Otherwise, other work on the machine would change the rates more than the refusals do.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo

from benchmarks.templates import flat
from producer.cosmos_simulator.client_connection import DIALS_COMMAND

SHARES = (0.01, 0.05, 0.2)
OUTAGES_SECONDS = (5, 15, 30)
_NO_LIMIT_RU = 1e9
_MEASURED_SECONDS, _CHANGE_SECONDS, _LOOK_SECONDS = 6.0, 3.0, 0.25
_RECOVERED, _LONGEST_RECOVERY_SECONDS = 0.9, 10.0
_COSTS_AT_MOST = 3
_NOISE = 0.05
"""How far the rates without refusals differ within one run on two cores."""
_STATEMENT_US = 300.0
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class RefusedShare:
    """Rates with and without a share of documents refused."""

    share: float
    rate: float
    free_rate: float

    @property
    def ratio(self) -> float:
        """What is left of the rate."""
        return self.rate / self.free_rate

    def keeps(self, noise: float) -> bool:
        """Whether it costs at most three times the share; rates are off by ``noise``."""
        return self.ratio >= 1 - _COSTS_AT_MOST * self.share - noise


@dataclass(frozen=True, slots=True)
class Outage:
    """How long the rate took to come back after everything was refused."""

    seconds: float
    recovery_seconds: float

    @property
    def kept(self) -> bool:
        """Whether that was soon enough."""
        return self.recovery_seconds <= _LONGEST_RECOVERY_SECONDS


class Account:
    """The simulated account while the run writes to it."""

    def __init__(self, client: pymongo.MongoClient[dict[str, Any]]) -> None:
        self._client = client

    def refuse(self, share: float) -> None:
        """Refuse that share of documents from now on, and name no pause."""
        dials = {
            "document_throttle_share": share,
            "omit_retry_after_share": 1.0,
            "statement_us": _STATEMENT_US,
        }
        self._client.admin.command({DIALS_COMMAND: dials})

    def documents(self) -> int:
        """How many are there."""
        return self._client["dataworks"]["flat"].estimated_document_count()

    def rate(self, seconds: float = _MEASURED_SECONDS) -> float:
        """Documents that arrive in a second."""
        before, began = self.documents(), time.monotonic()
        time.sleep(seconds)
        return (self.documents() - before) / (time.monotonic() - began)


@contextmanager
def long_run(folder: Path, services: Any, command: Any) -> Iterator[Account]:
    """Provide a run that writes until the context is left."""
    (folder / "flat.json").write_text(json.dumps(flat()))
    with services(folder, _NO_LIMIT_RU, 2) as url:
        started: Mapping[str, Any] = command(
            *(folder, "generate", "flat.json", "--total", 200_000_000, "--detach"),
            *("--batch-size", _BATCH),
        )
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            account = Account(client)
            account.refuse(0.0)
            while not account.documents():
                time.sleep(_LOOK_SECONDS)
            time.sleep(_CHANGE_SECONDS)
            yield account
        command(folder, "cancel", started["run"])


def measure_share(account: Account, share: float) -> RefusedShare:
    """Measure the rate while ``share`` is refused, between two measurements without refusals."""
    before = account.rate()
    account.refuse(share)
    time.sleep(_CHANGE_SECONDS)
    rate = account.rate(1.5 * _MEASURED_SECONDS)
    account.refuse(0.0)
    time.sleep(_CHANGE_SECONDS)
    return RefusedShare(share, rate, (before + account.rate()) / 2)


def measure_outage(account: Account, seconds: float) -> Outage:
    """Refuse everything for so long, then see how long the rate takes."""
    free_rate = account.rate()
    account.refuse(1.0)
    time.sleep(seconds)
    account.refuse(0.0)
    ended = time.monotonic()
    while time.monotonic() - ended < 3 * _LONGEST_RECOVERY_SECONDS:
        if account.rate(1.0) >= _RECOVERED * free_rate:
            break
    return Outage(seconds, time.monotonic() - ended)


def measure_refusals(services: Any, command: Any) -> tuple[list[RefusedShare], list[Outage]]:
    """Both tables, from one run."""
    with (
        tempfile.TemporaryDirectory(prefix="dataworks-refusals-") as place,
        long_run(Path(place), services, command) as account,
    ):
        shares = [measure_share(account, share) for share in SHARES]
        return shares, [measure_outage(account, seconds) for seconds in OUTAGES_SECONDS]


def print_refusals(
    shares: list[RefusedShare], outages: list[Outage], noise: float = _NOISE
) -> bool:
    """Print what was measured; return whether every promise is kept."""
    print("refused   docs/s   without   ratio   promised")
    for row in shares:
        promised = 1 - _COSTS_AT_MOST * row.share
        print(
            f"{row.share:7.0%} {row.rate:8,.0f} {row.free_rate:9,.0f} {row.ratio:7.2f} "
            f"{promised:10.2f}"
        )
    print("everything refused for   90 % of the rate back after")
    for outage in outages:
        print(f"{outage.seconds:20.0f} s {outage.recovery_seconds:26.1f} s")
    return all(row.keeps(noise) for row in shares) and all(outage.kept for outage in outages)
