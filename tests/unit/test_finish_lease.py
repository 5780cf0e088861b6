"""A lease to finish a run."""

from __future__ import annotations

from threading import Event
from typing import cast

import pytest

from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.ledger import heartbeat
from dataworks_tasks.ledger.contract import FinishState, Ledger
from dataworks_tasks.runs.lease import StopSignal
from dataworks_tasks.worker.finish_lease import HeldFinishLease


class _Leases:
    """Of a ledger, what a lease needs."""

    def __init__(self) -> None:
        self.held = 0
        self.held_often = Event()

    def acquire_finish_lease(
        self, run_id: str, holder: str, seconds: float, state: FinishState | None = None
    ) -> str:
        self.held += 1
        if self.held > 3:
            self.held_often.set()
        return ""


def test_a_server_that_does_not_say_how_far_it_is_costs_no_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat, "_HEARTBEAT_SECONDS", 0.01)

    def describe() -> str:
        raise StoreUnavailable("the server does not answer")

    leases = _Leases()
    with HeldFinishLease(cast("Ledger", leases), "gen-1", "me", cast("StopSignal", None)) as lease:
        lease.show(describe)
        assert leases.held_often.wait(10)
