"""What differs is found in any order, in any cut, and named."""

from __future__ import annotations

from typing import Any

from bson import encode
from hypothesis import given
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, shown_value
from dataworks_tasks.verify.comparison import (
    DocumentComparison,
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


def test_ids_are_found_at_any_position() -> None:
    assert id_bytes(encode({"_id": 5, "a": 1})) == id_bytes(encode({"a": 1, "_id": 5}))
