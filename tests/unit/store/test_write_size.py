"""Writes get smaller if a server accepts little of them, and only then."""

from __future__ import annotations

from dataworks_tasks.store.write_size import WriteSize

MOST = 5_000


def test_a_write_of_which_most_was_taken_is_no_reason_for_smaller_ones() -> None:
    size = WriteSize()
    for refused in (1, 250, 1_000, 2_500, 3_700):
        size.record(5_000, refused, MOST)
        assert size.at_most(MOST) == MOST


def test_a_write_of_which_little_was_taken_halves_the_next() -> None:
    size = WriteSize()
    size.record(5_000, 5_000, MOST)
    size.record(2_500, 2_400, MOST)
    assert size.at_most(MOST) == 1_250


def test_few_documents_that_are_sent_again_say_nothing_of_a_writes_size() -> None:
    size = WriteSize()
    size.record(5_000, 40, MOST)
    size.record(40, 40, MOST)
    size.record(1, 1, MOST)
    assert size.at_most(MOST) == MOST


def test_writes_grow_again_though_a_share_of_each_is_refused() -> None:
    size = WriteSize()
    for _ in range(20):
        size.record(size.at_most(MOST), size.at_most(MOST), MOST)
    assert size.at_most(MOST) == 1
    for _ in range(25):
        size.record(size.at_most(MOST), size.at_most(MOST) // 20, MOST)
    assert size.at_most(MOST) == MOST
