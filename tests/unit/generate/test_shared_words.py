"""Processes of one worker draw words for each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace

import pytest

from dataworks_tasks.celery_app import app
from dataworks_tasks.generate.fields import shared_words
from dataworks_tasks.generate.fields.shared_words import SharedWords, share_words
from dataworks_tasks.generate.fields.vocabulary_cache import FakerWords
from dataworks_tasks.worker.word_sharing import WordSharing

KEY, OTHER = b"k" * 16, b"o" * 16


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedWords]:
    monkeypatch.setattr(shared_words, "shared", None)
    share_words()
    assert shared_words.shared is not None
    yield shared_words.shared
    shared_words.shared.close()


def _in_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked process that then ends at once; return its exit code."""
    if (child := os.fork()) == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _counted(words: FakerWords, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list of numbers that ``words`` draws from now on."""
    drawn: list[int] = []
    draw = words.draw

    def note(numbers: range) -> list[object]:
        drawn.extend(numbers)
        return draw(numbers)

    monkeypatch.setattr(words, "draw", note)
    return drawn


def _words() -> FakerWords:
    return FakerWords(3, "en_US", "street_name", "{}")


def test_a_process_finds_what_another_has_drawn(shared: SharedWords) -> None:
    assert shared.find(KEY, 1) is None
    assert _in_child(lambda: shared.add(KEY, 1, ["Äpfel", 'a "b"'])) == 0
    assert shared.find(KEY, 1) == ["Äpfel", 'a "b"']
    assert shared.find(KEY, 2) is None
    assert shared.find(OTHER, 1) is None


def test_the_words_are_the_same_whoever_draws_them(
    shared: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = _words().draw(range(1_020))
    assert _in_child(lambda: _words().draw_all(510)) == 0
    words = _words()
    drawn = _counted(words, monkeypatch)
    assert words.draw_all(1_020) == wanted
    # The other process' last part had 10 words, where this one needs 250.
    assert sorted(drawn) == list(range(500, 1_020))


def test_a_pool_is_drawn_without_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_words, "shared", None)
    assert _words().draw_all(300) == _words().draw(range(300))


def test_words_that_are_no_texts_are_not_shared(
    shared: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = FakerWords(3, "en_US", "pyfloat", "{}")
    assert _in_child(lambda: FakerWords(3, "en_US", "pyfloat", "{}").draw_all(300)) == 0
    drawn = _counted(numbers, monkeypatch)
    assert all(isinstance(number, float) for number in numbers.draw_all(300))
    assert sorted(drawn) == list(range(300))


def test_what_a_killed_process_began_to_write_is_not_seen(
    shared: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.add(KEY, 0, ["first"])

    def die_while_writing() -> None:
        write = os.pwrite

        def write_half(descriptor: int, data: bytes, position: int) -> int:
            write(descriptor, data[: len(data) // 2], position)
            os._exit(7)

        monkeypatch.setattr(os, "pwrite", write_half)
        shared.add(KEY, 1, ["x" * 100])

    assert _in_child(die_while_writing) == 7
    assert shared.find(KEY, 1) is None
    shared.add(KEY, 1, ["second"])
    assert (shared.find(KEY, 0), shared.find(KEY, 1)) == (["first"], ["second"])


def test_a_process_that_dies_as_the_file_begins_again_leaves_no_wrong_words(
    shared: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_words, "_MOST_BYTES", 400)
    for number in range(3):
        shared.add(KEY, number, [f"{number}" * 80])
    assert shared.find(KEY, 0) == ["0" * 80]

    def die_after_the_words() -> None:
        write = os.pwrite

        def write_words(descriptor: int, data: bytes, position: int) -> int:
            written = write(descriptor, data, position)
            if len(data) > 80:
                os._exit(7)
            return written

        monkeypatch.setattr(os, "pwrite", write_words)
        shared.add(OTHER, 3, ["3" * 80])

    assert _in_child(die_after_the_words) == 7
    assert shared.find(KEY, 0) is None
    assert shared.find(OTHER, 3) is None


def test_nobody_waits_for_a_process_that_writes(shared: SharedWords) -> None:
    shared.add(KEY, 0, ["first"])

    def look_while_the_parent_writes() -> None:
        assert shared.find(KEY, 0) is None
        shared.add(KEY, 1, ["second"])

    with shared.locked() as is_locked:
        assert is_locked
        assert _in_child(look_while_the_parent_writes) == 0
    assert (shared.find(KEY, 0), shared.find(KEY, 1)) == (["first"], None)


def test_the_file_begins_again_when_it_is_full(
    shared: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_words, "_MOST_BYTES", 400)
    for number in range(5):
        assert _in_child(partial(shared.add, KEY, number, [f"{number}" * 80])) == 0
        assert shared.find(KEY, number) == [f"{number}" * 80]
    assert shared.find(KEY, 0) is None
    shared.add(KEY, 9, ["x" * 400])
    assert shared.find(KEY, 9) is None


def test_a_disk_that_is_full_only_means_that_nothing_is_shared(
    shared: SharedWords, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    shared.add(KEY, 0, ["first"])
    assert shared.find(KEY, 0) is None


def test_a_worker_shares_words_before_it_forks() -> None:
    assert WordSharing in app.steps["worker"]


@pytest.mark.parametrize(
    ("processes", "autoscale", "shares"), [(1, None, False), (2, None, True), (1, (4, 1), True)]
)
def test_a_worker_of_one_process_has_nobody_to_share_with(
    processes: int, autoscale: object, shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_words, "shared", None)
    WordSharing(SimpleNamespace(concurrency=processes), autoscale=autoscale)
    assert (shared_words.shared is not None) == shares
    if shared_words.shared is not None:
        shared_words.shared.close()
