"""``boolean``, ``objectId``, ``minKey``, ``maxKey``."""

from __future__ import annotations

import numpy as np

from dataworks_tasks.documents.bson_types import BOOLEAN, MAX_KEY, MIN_KEY, OBJECT_ID
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.document_id import (
    INDEX_LIMIT,
    index_bytes,
    object_id,
    object_id_prefix,
)
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant, Fixed
from dataworks_tasks.generate.batch.values import Kind, Text, Values, decoded_text, text_of
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.variety import CONSTANT, Variety


class BooleanColumn(Column):
    """True with the given probability."""

    kind = Kind.BOOLEAN

    def __init__(self, path: str, share: float) -> None:
        self._share = share
        self._salt = counter_hash.salt(path)

    def values(self, rows: Rows) -> Values:
        bits = counter_hash.draw(rows.keys, self._salt)
        return Values(Kind.BOOLEAN, counter_hash.unit(bits) < self._share)

    def variety(self) -> Variety | None:
        return Variety.weighted([self._share, 1 - self._share])

    def encode(self, rows: Rows) -> Encoded:
        return Encoded(BOOLEAN, [Fixed(self.values(rows).data.astype(np.uint8))])

    def text(self, rows: Rows) -> Text:
        return decoded_text(self.values(rows))


class ObjectIdColumn(Column):
    """An ObjectId made of the field's own prefix and the row's ordinal: unique, and in order."""

    unique = True

    def __init__(self, identity: str) -> None:
        self._identity = identity

    def encode(self, rows: Rows) -> Encoded:
        prefix = Constant(object_id_prefix(rows.seed, self._identity))
        return Encoded(OBJECT_ID, [prefix, Fixed(index_bytes(rows.ordinals))])

    def text(self, rows: Rows) -> Text:
        prefix = object_id_prefix(rows.seed, self._identity)
        return text_of([object_id(prefix, index).hex() for index in rows.ordinals.tolist()])

    def capacity(self) -> int:
        return INDEX_LIMIT


class KeyColumn(Column):
    """MinKey or MaxKey: a type byte without a value."""

    def __init__(self, code: int) -> None:
        self._code = code

    def variety(self) -> Variety | None:
        return CONSTANT

    def encode(self, rows: Rows) -> Encoded:
        return Encoded(self._code, [])


@column_type("boolean", "bool")
def read_boolean(node: TemplateNode) -> Column:
    """Type boolean: truePercentage 50."""
    return BooleanColumn(node.path, node.number("truePercentage", 50, least=0, most=100) / 100)


@column_type("objectId")
def read_object_id(node: TemplateNode) -> Column:
    """Type objectId."""
    return ObjectIdColumn(node.path)


@column_type("minKey")
def read_min_key(_node: TemplateNode) -> Column:
    """Type minKey."""
    return KeyColumn(MIN_KEY)


@column_type("maxKey")
def read_max_key(_node: TemplateNode) -> Column:
    """Type maxKey."""
    return KeyColumn(MAX_KEY)
