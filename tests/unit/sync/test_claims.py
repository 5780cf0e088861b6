"""A process writes only while its claim lasts, whatever clock stops meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable

import fakeredis
import pytest

from dataworks_tasks.errors import LedgerUnavailable
from dataworks_tasks.ledger.key_window_ledger import KeyWindowLedger
from dataworks_tasks.ledger.key_windows import Append
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.sync import claims
from dataworks_tasks.sync.claims import ClaimKeeper, ClaimLost, ClaimTerms
from tests.contract.contract_support import migration_spec


@pytest.fixture
def run() -> tuple[RedisLedger, str]:
    ledger, spec = RedisLedger(fakeredis.FakeRedis()), migration_spec()
    ledger.create(spec, None)
    ledger.key_windows.append(spec.run_id, Append([b"zero"]))
    return ledger, spec.run_id


def keeper(run: tuple[RedisLedger, str], seconds: float = 30.0) -> ClaimKeeper:
    return ClaimKeeper(run[0].key_windows, run[1], ClaimTerms(seconds, 60.0))


def at(monkeypatch: pytest.MonkeyPatch, later: float) -> Callable[[], float]:
    """Return a clock that is ``later`` seconds ahead from now on."""
    real = claims.boot_time
    monkeypatch.setattr(claims, "boot_time", lambda: real() + later)
    return real


def test_nothing_is_written_after_the_end(
    run: tuple[RedisLedger, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with keeper(run) as held:
        claim = held.claim(0, b"zero")
        assert claim is not None
        claim.check()
        assert 20 < claim.seconds_left < 28
        at(monkeypatch, 29.0)  # a machine that was suspended
        with pytest.raises(ClaimLost):
            claim.check()
        monkeypatch.undo()
        with pytest.raises(ClaimLost):
            claim.check()  # a claim that is over stays over


def test_a_claim_is_given_back_on_the_way_out(run: tuple[RedisLedger, str]) -> None:
    with keeper(run) as first:
        assert first.claim(0, b"zero") is not None
        with keeper(run) as second:
            assert second.claim(0, b"zero") is None
    with keeper(run) as third:
        again = third.claim(0, b"zero")
        assert again is not None
        assert not again.grant.suspect


def test_a_write_without_an_answer_makes_the_window_suspect(run: tuple[RedisLedger, str]) -> None:
    with keeper(run) as first:
        claim = first.claim(0, b"zero")
        assert claim is not None
        claim.unanswered = True
    with keeper(run) as second:
        again = second.claim(0, b"zero")
        assert again is not None
        assert again.grant.suspect


def test_heartbeats_keep_a_claim(run: tuple[RedisLedger, str]) -> None:
    with keeper(run, seconds=0.4) as held:
        claim = held.claim(0, b"zero")
        assert claim is not None
        before = claim.ends_at
        waiting = threading.Event()
        while claim.ends_at == before and claim.seconds_left > 0:
            waiting.wait(0.01)
        assert claim.ends_at > before


def test_an_outage_of_redis_ends_a_claim_by_its_expiry(
    run: tuple[RedisLedger, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def outage(*_: object) -> bool:
        raise LedgerUnavailable("Redis does not answer")

    with keeper(run, seconds=0.2) as held:
        claim = held.claim(0, b"zero")
        assert claim is not None
        monkeypatch.setattr(KeyWindowLedger, "extend", outage)
        waiting = threading.Event()
        while claim.seconds_left > 0:
            waiting.wait(0.01)
        with pytest.raises(ClaimLost):
            claim.check()
