"""A difference counts if the run that follows has passed it without capturing a change of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bson.timestamp import Timestamp

from dataworks_tasks.sync.followed_looks import Looks, Mark, PairKey

KEY: PairKey = (0, b"\x10_id\0\x01\0\0\0")
OTHER: PairKey = (1, b"\x10_id\0\x01\0\0\0")
NEXT = Mark(Timestamp(20, 1))
FIRST = Looks(500, 12, Mark(Timestamp(10, 1), 3, 7), {KEY: 1, OTHER: 1})


def test_what_differs_at_three_looks_counts() -> None:
    second, stay = FIRST.after(NEXT, [KEY], set(), set())
    assert (second.keys, stay) == ({KEY: 2}, [])
    assert (second.start, second.since, second.mark) == (500, 12, NEXT)
    third, stay = second.after(NEXT, [KEY], set(), set())
    assert (third.keys, stay) == ({}, [KEY])


@pytest.mark.parametrize("looks", [1, 2])
def test_what_changed_belongs_to_the_run_that_follows(looks: int) -> None:
    left, stay = replace(FIRST, keys={KEY: looks}).after(NEXT, [KEY], {KEY}, set())
    assert (left.keys, stay) == ({}, [])


def test_what_the_follower_has_yet_to_reconcile_is_looked_at_again() -> None:
    left, stay = replace(FIRST, keys={KEY: 2}).after(NEXT, [KEY], {OTHER}, {KEY})
    assert (left.keys, stay) == ({KEY: 2}, [])


def test_what_is_equal_now_is_over_and_collections_are_kept_apart() -> None:
    both = replace(FIRST, keys={KEY: 2, OTHER: 2})
    left, stay = both.after(NEXT, [OTHER], {KEY}, set())
    assert (left.keys, stay) == ({}, [OTHER])


def test_the_ledger_keeps_what_waits() -> None:
    assert Looks.from_bytes(FIRST.to_bytes()) == FIRST
