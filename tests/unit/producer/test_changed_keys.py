"""The comparison of a cut-over: what a lost connection cut off, and what nobody may read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from bson import encode

from dataworks_tasks.documents.raw_bson import Element, find_element
from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.ledger.contract import DocumentFailure
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.runs.namespace import Namespace
from producer.cutover import changed_keys
from producer.cutover.changed_keys import verify_changed

COPIES = Namespace("shop", "copies")


def key(number: int) -> Element:
    found = find_element(encode({"_id": number}), b"_id")
    assert found is not None
    return found


def run_with(*failures: DocumentFailure) -> Any:
    ledger = SimpleNamespace(failures=lambda _run: iter(failures))
    return SimpleNamespace(ledger=ledger, spec=SimpleNamespace(run_id="run-1"))


@pytest.fixture(autouse=True)
def two_changed_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    route = SimpleNamespace(target=SimpleNamespace(namespace=COPIES))
    monkeypatch.setattr(changed_keys, "migration_routes", lambda *_: [route])
    monkeypatch.setattr(changed_keys, "_changed_keys", lambda *_: iter([(0, [key(1), key(2)])]))


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
