"""A comparison as the ledger keeps it: counters, and a failure for each document."""

from __future__ import annotations

from typing import Any

import bson

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.verify.comparison import Comparison, DocumentComparison
from dataworks_tasks.verify.field_order import with_sorted_fields
from dataworks_tasks.verify.result import verification_result

ORDERS = Namespace("shop", "orders")


def batch(*documents: dict[str, Any]) -> EncodedBatch:
    return EncodedBatch.of(map(bson.encode, documents))


def compared(
    expected: list[dict[str, Any]], found: list[dict[str, Any]], **options: Any
) -> Comparison:
    comparison = DocumentComparison(**options)
    comparison.add(batch(*expected), None)
    comparison.add(None, batch(*found))
    return comparison.result()


def test_every_kind_is_counted_and_named() -> None:
    expected = [{"_id": 1, "v": 1}, {"_id": 2, "v": 1}, {"_id": 3, "v": 1}]
    found = [{"_id": 1, "v": 1}, {"_id": 2, "v": 5}, {"_id": 4, "v": 1}, {"_id": 5, "v": 1}]
    result = verification_result(ORDERS, compared(expected, found))
    counters = {name: count for name, count in result.counters.items() if count}
    assert counters == {"documents": 5, "equal": 1, "missing": 1, "extra": 2, "different": 1}
    said = [(failure.document_id, failure.reason) for failure in result.failures]
    assert said == [
        ("3", "missing at the target"),
        ("4", "not in the source"),
        ("5", "not in the source"),
        ("2", "differs at v: source 1, target 5"),
    ]
    assert {failure.namespace for failure in result.failures} == {"shop.orders"}
    assert all(failure.index is None for failure in result.failures)
    assert len({failure.key for failure in result.failures}) == 4


def test_equal_documents_have_no_failures() -> None:
    documents = [{"_id": number} for number in range(3)]
    result = verification_result(ORDERS, compared(documents, documents))
    assert result.failures == ()
    assert result.counters["equal"] == result.counters["documents"] == 3


def test_generated_documents_know_where_their_batch_begins() -> None:
    result = verification_result(ORDERS, compared([{"_id": 1}], []), first=500)
    assert [failure.index for failure in result.failures] == [500]


def test_what_rules_did_is_counted_too() -> None:
    result = verification_result(ORDERS, Comparison(1, rules={"rule:0:changed": 7}))
    assert result.counters["rule:0:changed"] == 7


def test_documents_of_one_id_have_records_of_their_own() -> None:
    twice = [{"_id": 1}, {"_id": 1}, {"_id": 1}]
    result = verification_result(ORDERS, compared([], twice))
    assert result.counters["extra"] == 3
    assert len({failure.key for failure in result.failures}) == 3
    again = verification_result(ORDERS, compared([], twice))
    assert {one.key for one in again.failures} == {one.key for one in result.failures}


def test_what_was_too_large_to_keep_differs_without_a_field() -> None:
    result = verification_result(
        ORDERS, compared([{"_id": 1, "v": 1}], [{"_id": 1, "v": 2}], most_bytes_unmatched=0)
    )
    assert [failure.reason for failure in result.failures] == ["differs"]


def test_documents_of_one_id_belong_together_by_their_bytes() -> None:
    """In an account, several partitions may share an ``_id``."""
    one, other, third = {"_id": 1, "k": "a"}, {"_id": 1, "k": "b"}, {"_id": 1, "k": "c"}
    assert compared([one, other], [other, one], repeated_ids=True).equal == 2
    by_id = compared([one, other], [other, one])
    assert by_id.equal < 2
    found = compared([one, other], [third, one, {"_id": 2}], repeated_ids=True)
    assert (found.equal, len(found.different), len(found.extra)) == (1, 1, 1)
    assert found.different[0].at is not None
    assert (found.different[0].at.expected, found.different[0].at.found) == ('"b"', '"c"')
    assert not found.missing
    lacking = compared([one, one], [one], repeated_ids=True)
    assert (lacking.equal, len(lacking.missing)) == (1, 1)
    digests = compared([one, other], [other, one], repeated_ids=True, most_bytes_unmatched=0)
    assert digests.equal == 2


def test_an_equal_beginning_is_compared_at_once() -> None:
    same = [{"_id": number, "v": number} for number in range(5)]
    for left, right in (([{"_id": 7}], []), ([], [{"_id": 7}]), ([{"_id": 8}], [{"_id": 9}])):
        comparison = DocumentComparison()
        comparison.add(batch(*same, *left), batch(*same, *right))
        found = comparison.result()
        assert found.equal == 5
        assert (len(found.missing), len(found.extra)) == (len(left), len(right))
    comparison = DocumentComparison()
    comparison.add(batch(*same), batch(*same))
    comparison.add(None, batch({"_id": 7}))
    comparison.add(batch({"_id": 7}), None)
    assert comparison.result() == Comparison(6)


def test_memory_holds_digests_once_there_is_much() -> None:
    large = [{"_id": number, "v": "x" * 100} for number in range(50)]
    comparison = DocumentComparison(most_bytes_unmatched=1000)
    for document in large:
        comparison.add(batch(document), None)
        kept = sum(map(len, (one for many in comparison._expected.values() for one in many)))
        assert kept < 1000 + 50 * 16 + 200
    for document in reversed(large):
        comparison.add(None, batch(document))
    assert comparison.result() == Comparison(50)
    assert comparison._unmatched_bytes == 0


def test_a_comparison_says_whether_everything_is_equal() -> None:
    id_ = compared([{"_id": 1}], []).missing
    assert Comparison(5)
    assert not Comparison(5, missing=id_)
    assert not Comparison(5, extra=id_)
    assert not compared([{"_id": 1, "a": 1}], [{"_id": 1, "a": 2}])


def test_fields_are_sorted_at_every_level_and_arrays_are_not() -> None:
    document = {"b": {"d": 1, "c": [{"z": 1, "y": 2}, 3, "a"]}, "a": b"x"}
    wanted = {"a": b"x", "b": {"c": [{"y": 2, "z": 1}, 3, "a"], "d": 1}}
    (found,) = with_sorted_fields(batch(document)).documents()
    assert found == bson.encode(wanted)
