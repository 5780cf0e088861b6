"""Filters that cannot be used in slices are refused by the name of their operator."""

from __future__ import annotations

import pytest

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from producer.start.check_filter import check_filter

ORDERS = NamespacePair(source=Namespace("shop", "orders"), target=Namespace("shop", "copy"))


def _job(query: str | None) -> MigrationJob:
    return MigrationJob(namespaces=(ORDERS,), filter=query)


@pytest.mark.parametrize(
    ("query", "fact", "remedy"),
    [
        ('{"$where": "this.n < 5"}', r"\$where", r"\$expr"),
        ('{"$and": [{"n": 1}, {"$where": "true"}]}', r"\$where", r"\$expr"),
        ('{"$text": {"$search": "x"}}', r"\$text", r"\$regex"),
        ('{"at": {"$near": [1, 2]}}', r"\$near,", r"\$geoWithin"),
        ('{"at": {"$nearSphere": [1, 2]}}', r"\$nearSphere", r"\$geoWithin"),
        ('{"$sampleRate": 0.5}', "each time", "field"),
        ('{"$expr": {"$lt": [{"$rand": {}}, 0.5]}}', r"\$rand.*each time", "field"),
        ('{"n": {"$gt": 5}, "n": {"$lt": 9}}', "'n' twice", r"\$and"),
        ('{"$or": [{"n": {"$gt": 5, "$gt": 7}}]}', r"'\$gt' twice", r"\$and"),
    ],
)
def test_what_slices_cannot_use_is_refused(query: str, fact: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=fact) as refusal:
        check_filter(_job(query))
    assert refusal.match(remedy)


@pytest.mark.parametrize(
    "query",
    [
        None,
        "{}",
        '{"at": {"$geoWithin": {"$centerSphere": [[1, 2], 0.1]}}}',
        '{"$expr": {"$eq": ["$a", {"$literal": {"$where": 1}}]}}',
        '{"where": {"$regex": "^near"}}',
    ],
)
def test_other_filters_pass(query: str | None) -> None:
    check_filter(_job(query))


@pytest.mark.parametrize("query", ["[]", "5", '{"$oid": "0123456789abcdef01234567"}'])
def test_a_value_is_not_a_query(query: str) -> None:
    with pytest.raises(UsageError, match="it is one value, and not a document of fields"):
        check_filter(_job(query))
