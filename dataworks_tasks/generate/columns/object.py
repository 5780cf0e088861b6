"""``object``: a sub-document."""

from __future__ import annotations

from collections.abc import Iterator

from dataworks_tasks.documents.bson_types import DOCUMENT
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column, Field, Record
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.variety import Variety, together


class ObjectColumn(Column):
    """The fields of ``inner`` on the same rows."""

    def __init__(self, inner: Record) -> None:
        self.inner = inner

    @property
    def unique(self) -> bool:  # type: ignore[override]
        return any(
            field.column.unique and field.always and not field.distinct
            for field in self.inner.fields.values()
        )

    def variety(self) -> Variety | None:
        return together(field.variety() for field in self.inner.fields.values())

    def encode(self, rows: Rows) -> Encoded:
        return Encoded(DOCUMENT, self.inner.document(rows))

    def nested(self) -> Iterator[Field]:
        yield from self.inner.fields.values()


@column_type("object")
def read_object(node: TemplateNode) -> Column:
    """Type object: objectContent."""
    inner = Record(node.record)
    content = node.take("objectContent", "content")
    node.reader.read_record(content, node.path, inner)
    return ObjectColumn(inner)
