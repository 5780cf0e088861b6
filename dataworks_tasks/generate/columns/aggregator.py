"""mgodatagen's aggregators: fields computed from other collections, after the insert.

They make no values here: the field is left out, and the request is passed on as data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataworks_tasks.documents.bson_types import NULL
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column, Record
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode, shown


class AggregatorColumn(Column):
    """A request for a post-step: what to count or collect, and where."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.request = request

    def encode(self, rows: Rows) -> Encoded:
        """Null: never written, aggregators are taken out of a collection's fields."""
        return Encoded(NULL, [])


def aggregators_of(record: Record) -> tuple[Mapping[str, Any], ...]:
    """Return the aggregators of a collection's fields, each with its ``target`` field."""
    return tuple(
        {"target": field.name, **field.column.request}
        for field in record.fields.values()
        if isinstance(field.column, AggregatorColumn)
    )


def without_aggregators(record: Record) -> Record:
    """``record`` without the fields that aggregators fill."""
    for name in [
        name for name, field in record.fields.items() if isinstance(field.column, AggregatorColumn)
    ]:
        del record.fields[name]
    return record


def _read(node: TemplateNode, kind: str, with_field: bool) -> Column:
    if node.record.outer is not None:
        node.refuse("type", "an aggregator is only possible at the top level of a document")
    collection = node.text("collection", "")
    if not collection:
        node.refuse("collection", "is missing")
    query = node.take("query")
    if not isinstance(query, dict):
        node.refuse("query", f"must be an object, not {shown(query)}")
    request: dict[str, Any] = {"kind": kind, "database": node.text("database", "")}
    request |= {"collection": collection, "query": query}
    if with_field:
        request["field"] = node.text("field", "")
        if not request["field"]:
            node.refuse("field", "is missing")
    return AggregatorColumn(request)


@column_type("countAggregator")
def read_count(node: TemplateNode) -> Column:
    """Type countAggregator: database, collection, query."""
    return _read(node, "count", with_field=False)


@column_type("valueAggregator")
def read_value(node: TemplateNode) -> Column:
    """Type valueAggregator: database, collection, field, query."""
    return _read(node, "value", with_field=True)


@column_type("boundAggregator")
def read_bound(node: TemplateNode) -> Column:
    """Type boundAggregator: database, collection, field, query."""
    return _read(node, "bound", with_field=True)
