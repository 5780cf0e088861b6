"""Windows keep their keys byte for byte, and keys that a server may take for one are known."""

from __future__ import annotations

import math
from typing import Any

import pytest
from bson import Int64, ObjectId, encode
from bson.decimal128 import Decimal128
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from dataworks_tasks.documents.raw_bson import Element, elements
from dataworks_tasks.errors import SpecRefused
from dataworks_tasks.scan.slice import Slice
from dataworks_tasks.sync.follow_place import FollowPlace
from dataworks_tasks.sync.key_window import (
    MOST_BYTES,
    MOST_KEYS,
    KeyWindow,
    id_of_failure,
    is_key_window,
    session_id,
    windows_of,
)
from dataworks_tasks.sync.server_keys import comparison_class
from dataworks_tasks.sync.window_work import hot_key, read_hot_key

KEYS: list[Any] = [1, 1.0, Int64(1), "k", {"a": 1}, b"\x00", ObjectId(), None, True]


def key(value: Any) -> Element:
    return next(elements(encode({"_id": value})))


def equal(one: Any, other: Any, *, collated: bool = False) -> bool:
    first, second = (comparison_class(key(value), collated=collated) for value in (one, other))
    return first == second


def test_a_window_comes_back_as_it_was() -> None:
    keys = tuple(map(key, KEYS))
    window = KeyWindow(3, keys, tries=2, nonce=b"\x01\xff", index=10**11, seconds=1_800_000_000)
    assert KeyWindow.from_bytes(window.to_bytes()) == window
    assert KeyWindow.from_bytes(KeyWindow(0, keys).to_bytes()) == KeyWindow(0, keys)


def test_windows_and_slices_are_told_apart() -> None:
    assert is_key_window(KeyWindow(0, (key(1),)).to_bytes())
    assert not is_key_window(Slice(0, key(1)._replace(name=b"")).to_bytes())
    with pytest.raises(SpecRefused):
        KeyWindow.from_bytes(encode({"c": 4, "p": 0}))


def test_windows_are_bounded_by_count_and_bytes() -> None:
    many = list(windows_of(map(key, range(2 * MOST_KEYS + 1)), KeyWindow(1, ())))
    assert [len(window.keys) for window in many] == [MOST_KEYS, MOST_KEYS, 1]
    large = [key("x" * (MOST_BYTES // 3)) for _ in range(4)]
    assert [len(window.keys) for window in windows_of(large, KeyWindow(1, ()))] == [2, 2]
    alone = [key("x" * (2 * MOST_BYTES))]
    assert [len(window.keys) for window in windows_of(alone, KeyWindow(1, ()))] == [1]


def test_a_hot_key_and_a_failure_name_their_key() -> None:
    for value in KEYS:
        assert read_hot_key(hot_key(7, key(value))) == (7, key(value))
        named = bytes((key(value).type,)) + b"_id\0" + key(value).value
        assert id_of_failure(named.hex()) == key(value)


def test_holders_of_a_window_share_a_session_and_others_do_not() -> None:
    assert session_id("mig-1", 5, b"x") == session_id("mig-1", 5, b"x")
    others = {
        session_id("mig-2", 5, b"x"),
        session_id("mig-1", 6, b"x"),
        session_id("mig-1", 5, b"y"),
    }
    assert len({*others, session_id("mig-1", 5, b"x")}) == 4


def test_numbers_of_all_types_may_be_one_key() -> None:
    ones: list[Any] = [1, 1.0, Int64(1), Decimal128("1"), Decimal128("1.00")]
    assert all(equal(one, other) for one in ones for other in ones)
    assert equal(0.0, -0.0)
    assert equal(math.nan, Decimal128("NaN"))
    assert not equal(1, 2)
    assert not equal(1, "1")


@given(st.integers(-(2**63), 2**63 - 1))
def test_large_numbers_are_asked_for_rather_than_told_apart(number: int) -> None:
    assert equal(Int64(number), Decimal128(str(number)))
    assert equal(Int64(number), float(number))


def test_compound_and_collated_keys_are_asked_for() -> None:
    assert equal({"a": 1}, {"a": 1.0})
    assert equal("abc", "ABC", collated=True)
    assert not equal("abc", "ABC")
    assert not equal(ObjectId("0" * 24), ObjectId("1" * 24))


def test_a_place_is_text_in_the_ledger() -> None:
    place = FollowPlace(b"\x00\xa6token", Timestamp(7, 9), 10, 8, 2**40)
    assert place.to_bytes().decode("ascii")
    assert FollowPlace.from_bytes(place.to_bytes()) == place
