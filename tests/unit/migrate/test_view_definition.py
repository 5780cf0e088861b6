"""A view at the target reads the collections by the names that they have there."""

from __future__ import annotations

from dataworks_tasks.migrate.view_definition import view_definition
from dataworks_tasks.runs.namespace import Namespace

VIEW = Namespace("shop", "open_orders")
RENAMES = [("shop.orders", "archive.o"), ("shop.*", "archive.old_*")]


def test_every_stage_that_reads_a_collection_is_renamed() -> None:
    nested = {"$lookup": {"from": "items", "as": "items", "pipeline": [{"$unionWith": "more"}]}}
    options = {
        "viewOn": "orders",
        "pipeline": [
            {"$match": {"from": "orders", "$expr": {"$eq": ["$coll", "items"]}}},
            nested,
            {"$graphLookup": {"from": "people", "startWith": "$boss", "as": "chain"}},
            {"$unionWith": {"coll": "orders", "pipeline": [nested]}},
            {"$facet": {"one": [{"$unionWith": "items"}], "two": [{"$count": "n"}]}},
            {"$rankFusion": {"input": {"pipelines": {"a": [{"$unionWith": "items"}]}}}},
        ],
    }
    found = view_definition(VIEW, options, RENAMES)
    changed = {
        "$lookup": {"from": "old_items", "as": "items", "pipeline": [{"$unionWith": "old_more"}]}
    }
    assert found.options == {
        "viewOn": "o",
        "pipeline": [
            options["pipeline"][0],
            changed,
            {"$graphLookup": {"from": "old_people", "startWith": "$boss", "as": "chain"}},
            {"$unionWith": {"coll": "o", "pipeline": [changed]}},
            {"$facet": {"one": [{"$unionWith": "old_items"}], "two": [{"$count": "n"}]}},
            {"$rankFusion": {"input": {"pipelines": {"a": [{"$unionWith": "old_items"}]}}}},
        ],
    }
    names = {"orders", "items", "more", "people"}
    assert found.reads == {Namespace("shop", name) for name in names}
    assert found.elsewhere is None


def test_a_collection_in_another_database_is_out_of_reach() -> None:
    options = {"viewOn": "orders", "pipeline": [{"$lookup": {"from": "items", "as": "items"}}]}
    renames = [("shop.items", "warehouse.items"), *RENAMES]
    assert view_definition(VIEW, options, renames).elsewhere == Namespace("shop", "items")


def test_without_renames_nothing_changes() -> None:
    options = {"viewOn": "orders", "pipeline": [], "collation": {"locale": "tr"}}
    assert view_definition(VIEW, options, []).options == options
