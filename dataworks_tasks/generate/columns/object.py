"""``object``: a sub-document."""

from __future__ import annotations

from collections.abc import Iterator

from dataworks_tasks.documents.bson_types import DOCUMENT
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column, Field, Record
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode


class ObjectColumn(Column):
    """The fields of ``inner`` on the same rows."""

    def __init__(self, inner: Record) -> None:
        self.inner = inner

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        return Encoded(DOCUMENT, self.inner.document(rows))

    def nested(self) -> Iterator[Field]:
        """See Column."""
        yield from self.inner.fields.values()


@column_type("object")
def read_object(node: TemplateNode) -> Column:
    """object: objectContent."""
    inner = Record(node.record)
    content = node.take("objectContent", "content")
    node.reader.read_record(content, node.path, inner)
    return ObjectColumn(inner)
