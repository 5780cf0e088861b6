"""Chunks follow what their documents are like."""

from __future__ import annotations

from dataworks_tasks.generate.chunk_size import ChunkSize


def test_small_quick_documents_fill_a_write() -> None:
    size = ChunkSize(most_documents=5000, most_seconds=5.0)
    size.learn(size.documents, size.documents * 800, 0.01)
    assert size.documents == 5000


def test_large_documents_are_bounded_by_bytes() -> None:
    size = ChunkSize(most_documents=5000, most_seconds=5.0)
    size.learn(10, 10 * 1_500_000, 0.01)
    assert size.documents == 2


def test_slow_documents_are_bounded_by_time() -> None:
    size = ChunkSize(most_documents=5000, most_seconds=0.5)
    size.learn(100, 100_000, 1.0)
    assert size.documents == 50


def test_there_is_always_one_document() -> None:
    size = ChunkSize(most_documents=1, most_seconds=0.001)
    size.learn(1, 16_000_000, 60.0)
    assert size.documents == 1


def test_what_is_left_is_cut_evenly() -> None:
    size = ChunkSize(most_documents=4600, most_seconds=5.0)
    size.learn(4600, 4600, 1e-6)
    left, made = 10_000, []
    while left:
        made.append(size.of(left))
        left -= made[-1]
    assert made == [3334, 3333, 3333]
    assert size.of(1) == 1
