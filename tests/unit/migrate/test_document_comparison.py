"""What differs is found in any order, in any cut, and named."""

from __future__ import annotations

from typing import Any

from bson import Int64, encode
from hypothesis import given
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, shown_value
from dataworks_tasks.verify.comparison import (
    DocumentComparison,
    _first_different_byte,
    compare,
    first_difference,
    id_bytes,
)


def batch(documents: dict[int, str]) -> EncodedBatch:
    return EncodedBatch.of(encode({"_id": key, "v": value}) for key, value in documents.items())


contents = st.dictionaries(st.integers(0, 30), st.sampled_from("ab"), max_size=30)


def shown(ids: tuple[Element, ...]) -> set[int]:
    return {int(shown_value(id_)) for id_ in ids}


@given(expected=contents, found=contents, cut=st.integers(1, 10), keep=st.sampled_from([0, 10**6]))
def test_agrees_with_dictionaries(
    expected: dict[int, str], found: dict[int, str], cut: int, keep: int
) -> None:
    comparison = DocumentComparison(most_bytes_unmatched=keep)
    left, right = batch(expected), batch(found)
    for start in range(0, max(len(left), len(right)), cut):
        pieces = [
            side.slice(min(start, len(side)), min(start + cut, len(side))) for side in (left, right)
        ]
        comparison.add(*(piece if len(piece) else None for piece in pieces))
    result = comparison.result()
    common = expected.keys() & found.keys()
    assert result.equal == sum(expected[key] == found[key] for key in common)
    assert shown(result.missing) == expected.keys() - found.keys()
    assert shown(result.extra) == found.keys() - expected.keys()
    different = {key for key in common if expected[key] != found[key]}
    assert shown(tuple(difference.id for difference in result.different)) == different
    assert bool(result) == (expected == found)


def test_order_does_not_matter() -> None:
    documents = dict.fromkeys(range(100), "x")
    backwards = dict(reversed(documents.items()))
    assert compare(batch(documents), batch(backwards)).equal == 100


def difference(expected: dict[str, Any], found: dict[str, Any]) -> tuple[str, str, str]:
    return first_difference(encode(expected), encode(found))


def test_the_first_difference_is_named_by_its_path() -> None:
    assert difference({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}) == ("a.b.1", "2", "3")
    assert difference({"a": 1}, {"a": 1, "b": 2}) == ("b", "(missing)", "2")
    assert difference({"a": 1, "b": 2}, {"b": 2}) == ("a", "1", "(missing)")
    assert difference({"a": 1, "b": 2}, {"b": 2, "a": 1}) == ("a", "here", "at another place")
    assert difference({"a": 0.0}, {"a": -0.0}) == ("a", "0.0", "-0.0")
    path, expected, found = difference({"a": "x" * 500}, {"a": "y"})
    assert (path, len(expected), found) == ("a", 83, '"y"')


def test_values_that_look_equal_are_told_apart() -> None:
    assert difference({"a": 1}, {"a": Int64(1)}) == ("a", "1 (int)", "1 (long)")
    assert difference({"a": [{"b": 1}]}, {"a": [{"b": Int64(1)}]})[0] == "a.0.b"
    one, other = (
        encode({"n": 0.0})[:-9] + bytes((payload, 0, 0, 0, 0, 0, 0xF8, 0x7F, 0))
        for payload in (1, 2)
    )
    nan = '{"$numberDouble": "NaN"}'
    assert first_difference(one, other) == (
        "n",
        f"{nan} (from byte 0: 01 00 00 00 00 00 f8 7f)",
        f"{nan} (from byte 0: 02 00 00 00 00 00 f8 7f)",
    )
    _, expected, found = difference({"a": "x" * 500}, {"a": "x" * 400 + "y"})
    assert expected.endswith("... (from byte 400: 78 78 78 78 78 78 78 78)")
    assert found.endswith("... (from byte 400: 79 00)")


@given(start=st.binary(max_size=20), ends=st.tuples(st.binary(max_size=3), st.binary(max_size=3)))
def test_the_first_different_byte_is_found(start: bytes, ends: tuple[bytes, bytes]) -> None:
    one, other = (start + end for end in ends)
    index = _first_different_byte(one, other)
    assert one[:index] == other[:index]
    assert one[index : index + 1] != other[index : index + 1] or one == other


def test_a_name_that_cannot_be_seen_is_quoted() -> None:
    assert difference({"": 1}, {"": 2})[0] == '""'
    assert difference({"a": {"\x1b": 1}}, {"a": {}})[0] == 'a."\\u001b"'
    assert difference({"größe": 1}, {"größe": 2})[0] == "größe"


def test_ids_are_found_at_any_position() -> None:
    assert id_bytes(encode({"_id": 5, "a": 1})) == id_bytes(encode({"a": 1, "_id": 5}))
