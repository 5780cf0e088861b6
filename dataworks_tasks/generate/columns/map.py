"""``map``: a sub-document whose keys are generated, such as a lookup table by id or by name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataworks_tasks.documents.bson_types import DOCUMENT
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant, Elements, Fixed, Layout, Segment
from dataworks_tasks.generate.columns.array import ArrayColumn, Length, read_length
from dataworks_tasks.generate.columns.enum import EnumColumn
from dataworks_tasks.generate.fields.encoded import Encoded, int32
from dataworks_tasks.generate.fields.model import Column, Field, Record
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.scope import linked
from dataworks_tasks.generate.fields.template_node import TemplateNode


class MapColumn(Column):
    """Entries like an array's elements, each with a text of ``keys`` as its name."""

    def __init__(self, path: str, length: Length, keys: Column, content: Field) -> None:
        self._entries = ArrayColumn(path, length, content)
        self._keys = keys
        self._content = content

    def most_elements(self) -> int:
        return self._entries.most_elements()

    def nested(self) -> Iterator[Field]:
        yield self._content
        yield Field("", f"{self._content.path}.keys", self._keys)

    def depends(self) -> Iterator[Field]:
        yield from self._keys.depends()

    def encode(self, rows: Rows) -> Encoded:
        entries = self._entries.elements(rows)
        _, parents = entries.parent_rows()
        counts = np.bincount(parents, minlength=len(rows))
        encoded = self._content.encoded(entries)
        code = encoded.type_code
        kind: Segment = Constant(bytes([code])) if isinstance(code, int) else Fixed(code)
        names = linked(self._keys.text(entries)).segments
        layout = Layout([kind, *names, Constant(b"\0"), *encoded.segments])
        inside = Elements(counts, parents, layout)
        return Encoded(DOCUMENT, [int32(inside.size, 5), inside, Constant(b"\0")])


@column_type("map")
def read_map(node: TemplateNode) -> Column:
    """Type map: keys (distinct text), content; minLength 0, maxLength 3, size for both."""
    length = read_length(node)
    record = Record(node.record, longest=length.most)
    keys = node.column(node.take("keys"), "keys", record)
    content = node.reader.read_field(
        "", node.take("content", "objectContent"), f"{node.path}.*", record
    )
    distinct = isinstance(keys, EnumColumn) and keys.distinct
    if type(keys).text is Column.text:
        node.refuse("keys", "has a type that cannot be written as text")
    elif not (keys.unique or distinct):
        node.refuse("keys", "may repeat: give an enum with distinct, or a type that is unique")
    elif isinstance(keys, EnumColumn) and not keys.can_be_names:
        node.refuse("keys", "has a value that cannot be a name: empty, or with a zero character")
    return MapColumn(node.path, length, keys, content)
