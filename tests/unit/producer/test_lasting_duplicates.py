"""Values that change places at the source are not duplicates, at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from bson import encode

from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.sync.wanted import id_of
from producer.cutover import duplicates

Pair = tuple[str, Sequence[Element]]


def pair(value: str, *ids: int) -> Pair:
    return value, [id_of(encode({"_id": each})) for each in ids]


def look(monkeypatch: pytest.MonkeyPatch, looks: list[list[Pair]], *, different: bool) -> Any:
    """Look as often as it takes; the last of ``looks`` is what every later look finds."""
    left = list(looks)
    monkeypatch.setattr(
        duplicates, "_duplicates", lambda *_: left.pop(0) if len(left) > 1 else left[0]
    )
    monkeypatch.setattr(duplicates, "still_different", lambda *_: ["differs"] * different)
    monkeypatch.setattr(duplicates, "_LOOK_SECONDS", 0.0)
    route: Any = SimpleNamespace(target=SimpleNamespace(client=None, namespace=None))
    return duplicates.lasting_duplicate(route, {"name": "n_1", "key": {"n": 1}})


def test_two_documents_that_keep_a_value_are_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(monkeypatch, [[pair("n = 1", 3, 4)]], different=False) == "n = 1"


def test_a_pair_that_was_reconciled_after_the_look_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both are as at the source when they are compared, because neither has the value any more."""
    assert look(monkeypatch, [[pair("n = 1", 3, 4)], []], different=False) is None


def test_other_pairs_at_every_look_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [[pair("n = 1", 3, number)] for number in range(20)]
    assert look(monkeypatch, looks, different=False) is None


def test_what_the_target_is_about_to_get_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(monkeypatch, [[pair("n = 1", 3, 4)]], different=True) is None
