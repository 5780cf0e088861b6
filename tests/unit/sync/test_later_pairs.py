"""Collections that a run takes in later are part of its spec from then on."""

from __future__ import annotations

import fakeredis
import pytest

from dataworks_tasks.ledger.key_windows import Append, Place
from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.runs.later_pairs import LATER, later_pairs, with_pairs
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import (
    ClaimTimes,
    FollowPart,
    MigrationJob,
    NamespacePair,
    RunSpec,
    StartPosition,
)
from dataworks_tasks.sync.key_window import window_nonce
from dataworks_tasks.sync.later_collections import spec_with_later
from tests.contract.contract_support import migration_spec

NONCE = "0011223344556677"


def pair(name: str) -> NamespacePair:
    return NamespacePair(source=Namespace("shop", name), target=Namespace("copy", name))


@pytest.fixture
def run() -> tuple[RedisLedger, RunSpec]:
    ledger, spec = RedisLedger(fakeredis.FakeRedis()), migration_spec()
    ledger.create(spec, None)
    return ledger, spec


def test_the_ledger_gives_a_spec_with_what_was_taken_in(run: tuple[RedisLedger, RunSpec]) -> None:
    ledger, spec = run
    assert spec_with_later(ledger, spec.run_id) == (spec, 0)
    first = with_pairs(b"", [pair("a"), pair("b.c")])
    ledger.key_windows.append(spec.run_id, Append(place=Place(LATER, b"", first)))
    found, later = spec_with_later(ledger, spec.run_id)
    assert later == 2
    assert isinstance(spec.job, MigrationJob)
    assert isinstance(found.job, MigrationJob)
    assert found.job.namespaces == (*spec.job.namespaces, pair("a"), pair("b.c"))
    assert found.model_copy(update={"job": spec.job}) == spec
    assert later_pairs(with_pairs(first, [pair("d")])) == (pair("a"), pair("b.c"), pair("d"))


def test_two_readers_do_not_both_take_in(run: tuple[RedisLedger, RunSpec]) -> None:
    ledger, spec = run
    for name, appended in (("a", 0), ("b", None)):
        place = Place(LATER, b"", with_pairs(b"", [pair(name)]))
        assert ledger.key_windows.append(spec.run_id, Append(place=place)) == appended
    assert later_pairs(ledger.key_windows.place(spec.run_id, LATER)) == (pair("a"),)


def test_another_collection_with_the_same_number_has_other_windows() -> None:
    """As after Redis lost the moment in which the first of them was taken in."""

    def job(*names: str) -> MigrationJob:
        position = StartPosition(token="", seconds=1, increment=1)
        follow = FollowPart(position=position, nonce=NONCE, claims=ClaimTimes())
        return MigrationJob(namespaces=tuple(map(pair, names)), follow=follow)

    nonces = {window_nonce(job("orders", name), 1, 1) for name in ("a", "b")}
    assert len(nonces) == 2
    assert window_nonce(job("orders", "a"), 0, 1) == bytes.fromhex(NONCE)
    assert window_nonce(job("orders", "a"), 1, 0) == bytes.fromhex(NONCE)
