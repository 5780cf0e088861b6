"""``object``: a sub-document."""

from __future__ import annotations

from collections.abc import Iterator

from dataworks_tasks.documents.bson_types import DOCUMENT
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column, Field, Record
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.spec import Spec


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
def read_object(spec: Spec) -> Column:
    """object: objectContent."""
    inner = Record(spec.record)
    content = spec.take("objectContent", "content")
    spec.reader.read_record(content, spec.path, inner)
    return ObjectColumn(inner)
