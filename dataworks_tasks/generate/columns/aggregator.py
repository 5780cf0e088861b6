"""mgodatagen's aggregators: fields computed from other collections, after the insert.

They make no values here: the field is left out, and the request is handed on as data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataworks_tasks.documents.bson_types import NULL
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column, Record
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.spec import Spec, shown


class AggregatorColumn(Column):
    """A request for a post-step: what to count or collect, and where."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.request = request

    def encode(self, rows: Rows) -> Encoded:
        """Null: never written, aggregators are taken out of a collection's fields."""
        return Encoded(NULL, [])


def aggregators_of(record: Record) -> tuple[Mapping[str, Any], ...]:
    """The requests of a collection's fields, each with the ``target`` field it fills."""
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


def _read(spec: Spec, kind: str, with_field: bool) -> Column:
    if spec.record.outer is not None:
        spec.refuse("type", "an aggregator can only stand at the top of a document")
    collection = spec.text("collection", "")
    if not collection:
        spec.refuse("collection", "is missing")
    query = spec.take("query")
    if not isinstance(query, dict):
        spec.refuse("query", f"must be an object, not {shown(query)}")
    request: dict[str, Any] = {"kind": kind, "database": spec.text("database", "")}
    request |= {"collection": collection, "query": query}
    if with_field:
        request["field"] = spec.text("field", "")
        if not request["field"]:
            spec.refuse("field", "is missing")
    return AggregatorColumn(request)


@column_type("countAggregator")
def read_count(spec: Spec) -> Column:
    """countAggregator: database, collection, query."""
    return _read(spec, "count", with_field=False)


@column_type("valueAggregator")
def read_value(spec: Spec) -> Column:
    """valueAggregator: database, collection, field, query."""
    return _read(spec, "value", with_field=True)


@column_type("boundAggregator")
def read_bound(spec: Spec) -> Column:
    """boundAggregator: database, collection, field, query."""
    return _read(spec, "bound", with_field=True)
