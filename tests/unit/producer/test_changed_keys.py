"""The comparison of a cut-over: what a lost connection cut off, and what nobody may read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from bson import Timestamp, encode

from dataworks_tasks.documents.raw_bson import Element, find_element
from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.sync.follow_place import FollowPlace
from dataworks_tasks.sync.key_window import KeyWindow
from producer.cutover import changed_keys
from producer.cutover.changed_keys import _changed_keys, _SeenKeys, verify_changed

COPIES = Namespace("shop", "copies")


def key(number: int) -> Element:
    found = find_element(encode({"_id": number}), b"_id")
    assert found is not None
    return found


def run_with(*failures: DocumentFailure) -> Any:
    ledger = SimpleNamespace(failures=lambda _run: iter(failures))
    return SimpleNamespace(ledger=ledger, spec=SimpleNamespace(run_id="run-1"))


@pytest.fixture
def two_changed_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    route = SimpleNamespace(target=SimpleNamespace(namespace=COPIES))
    monkeypatch.setattr(changed_keys, "migration_routes", lambda *_: [route])
    monkeypatch.setattr(changed_keys, "_changed_keys", lambda *_: iter([(0, [key(1), key(2)])]))


@pytest.mark.usefixtures("two_changed_keys")
@pytest.mark.parametrize("cuts", [0, 3])
def test_a_lost_connection_is_waited_out(monkeypatch: pytest.MonkeyPatch, cuts: int) -> None:
    left = cuts

    def still_different(*_: Any) -> Iterator[str]:
        nonlocal left
        yield "a difference"
        if left:
            left -= 1
            raise StoreUnavailable("connection closed")

    monkeypatch.setattr(changed_keys, "still_different", still_different)
    nothing: Any = None
    different, _ = verify_changed(run_with(), nothing)
    assert different == 1, "counted once"
    assert not left


@pytest.mark.usefixtures("two_changed_keys")
def test_what_kills_every_worker_is_not_read_by_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Element] = []

    def still_different(_route: Any, keys: Sequence[Element]) -> Iterator[DocumentFailure]:
        read.extend(keys)
        return iter(())

    monkeypatch.setattr(changed_keys, "still_different", still_different)
    died = "every worker that tried it died (3 of 3)"
    deadly, refused = (
        document_failure(COPIES, encode({"_id": number}), reason)
        for number, reason in ((1, died), (2, "too long (code 121)"))
    )
    nothing: Any = None
    assert verify_changed(run_with(deadly, refused), nothing) == (0, None)
    assert read == [key(2)]


def test_a_key_that_changed_often_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers wait for the comparison, and a run that follows for days logs most keys often."""
    logged = [
        KeyWindow(pair, tuple(map(key, keys))).to_bytes()
        for pair, keys in [(0, [1, 2]), (0, [2, 3]), (1, [3]), (0, [1]), (0, [4])] * 40
    ]
    log = SimpleNamespace(read=lambda first, stop: list(enumerate(logged))[first:stop])
    place = FollowPlace(b"", Timestamp(1, 1), logged=len(logged)).to_bytes()
    context: Any = run_with()
    context.target, context.ledger.key_windows = None, SimpleNamespace(place=lambda *_: place)
    monkeypatch.setattr(changed_keys, "ChangeLog", lambda *_: log)
    monkeypatch.setattr(changed_keys, "change_log_namespace", lambda _spec: COPIES)
    found = [(pair, each.value) for pair, keys in _changed_keys(context) for each in keys]
    assert len(found) == len(set(found)) == 5


def test_keys_that_take_too_much_memory_are_forgotten() -> None:
    seen = _SeenKeys(most_bytes=400)
    assert [seen.add(0, key(number)) for number in (1, 2, 1, 2)] == [True, True, False, False]
    assert [seen.add(0, key(number)) for number in (3, 1)] == [True, True]
