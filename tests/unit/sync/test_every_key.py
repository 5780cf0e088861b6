"""What is left of collections whose every key is reconciled survives the ledger."""

from __future__ import annotations

from dataworks_tasks.scan.slice import EACH_TYPE_APART
from dataworks_tasks.sync.every_key import EveryKey


def test_both_sides_of_each_pair_come_once() -> None:
    left, seen = EveryKey().with_pairs([3, 1]), []
    while left.pairs:
        seen.append((left.pairs[0], left.side, left.group))
        left = EveryKey.from_bytes(left._next.to_bytes())
    groups = range(len(EACH_TYPE_APART))
    assert seen == [(pair, side, group) for pair in (1, 3) for side in (0, 1) for group in groups]
    assert left.to_bytes() == b""


def test_a_pair_that_changes_again_is_done_again() -> None:
    half = EveryKey((1,), side=1, group=2, after="1000")
    assert half.with_pairs([1, 2]) == EveryKey((1, 2))
