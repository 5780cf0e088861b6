"""``uuid`` and ``binary``."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.documents.bson_types import BINARY, STRING
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.permutation import permute
from dataworks_tasks.generate.batch.random_bytes import random_bytes
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Constant, Fixed, Ragged
from dataworks_tasks.generate.batch.values import Kind, Text, Values
from dataworks_tasks.generate.fields.encoded import Encoded, int32
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.variety import Variety, of_lengths

_UUID_SUBTYPE = 4
_LONGEST = 16_000_000
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_UUID_TEXT = 36
_DIGIT_PLACES = [index for index, sign in enumerate(str(UUID(int=0))) if sign != "-"]


class UuidColumn(Column):
    """UUIDs of version 4. 60 of their 122 free bits are the ordinal, permuted: no two the same."""

    unique = True

    def __init__(self, path: str, binary: bool) -> None:
        self._binary = binary
        self.kind = None if binary else Kind.TEXT
        self._salt = counter_hash.salt(path)
        self._other_salt = counter_hash.salt(path, "other half")

    def _bytes(self, rows: Rows) -> NDArray[np.uint8]:
        mixed = permute(rows.ordinals, 1 << 60, self._salt, rows.seed).view(np.uint64)
        first = (mixed >> np.uint64(12) << np.uint64(16)) | (mixed & np.uint64(0xFFF))
        words = np.empty((len(rows), 2), ">u8")
        words[:, 0] = first
        words[:, 1] = counter_hash.draw(rows.keys, self._other_salt)
        data: NDArray[np.uint8] = words.view(np.uint8).reshape(-1, 16)
        data[:, 6] = data[:, 6] & 0x0F | 0x40
        data[:, 8] = data[:, 8] & 0x3F | 0x80
        return data

    def text(self, rows: Rows) -> Text:
        data = self._bytes(rows)
        block = np.full((len(rows), _UUID_TEXT), ord("-"), np.uint8)
        digits = np.empty((len(rows), 32), np.uint8)
        digits[:, ::2] = _HEX[data >> 4]
        digits[:, 1::2] = _HEX[data & 15]
        block[:, _DIGIT_PLACES] = digits
        return Text([Fixed(block.view(f"V{_UUID_TEXT}").ravel())], len(rows))

    def values(self, rows: Rows) -> Values | None:
        return None if self._binary else Values.of_text(self.text(rows))

    def encode(self, rows: Rows) -> Encoded:
        if self._binary:
            head = Constant((16).to_bytes(4, "little") + bytes([_UUID_SUBTYPE]))
            return Encoded(BINARY, [head, Fixed(self._bytes(rows).view("V16").ravel())])
        head = Constant((_UUID_TEXT + 1).to_bytes(4, "little"))
        return Encoded(STRING, [head, *self.text(rows).segments, Constant(b"\0")])


class BinaryColumn(Column):
    """Random bytes, from ``least`` to ``most`` of them."""

    def __init__(self, path: str, least: int, most: int, subtype: int) -> None:
        self._least, self._most, self._subtype = least, most, subtype
        self._salt = counter_hash.salt(path)
        self._length_salt = counter_hash.salt(path, "length")

    def variety(self) -> Variety | None:
        return of_lengths(256, self._least, self._most)

    def encode(self, rows: Rows) -> Encoded:
        subtype = Constant(bytes([self._subtype]))
        span = self._most - self._least + 1
        lengths = counter_hash.below(counter_hash.draw(rows.keys, self._length_salt), span)
        lengths += self._least
        arena = random_bytes(rows.keys, self._salt, lengths)
        return Encoded(BINARY, [int32(lengths), subtype, Ragged(arena, arena.starts, lengths)])


@column_type("uuid")
def read_uuid(node: TemplateNode) -> Column:
    """Type uuid: format string or binary."""
    form = node.choice("format", "string", ("string", "binary"), "bsonType")
    return UuidColumn(node.path, form == "binary")


@column_type("binary")
def read_binary(node: TemplateNode) -> Column:
    """Type binary: minLength 0, maxLength 10, subtype 0."""
    least = node.integer("minLength", 0, "size", least=0, most=_LONGEST)
    most = node.integer("maxLength", max(10, least), least=0, most=_LONGEST)
    subtype = node.integer("subtype", 0, least=0, most=255)
    if subtype == 2:
        node.refuse("subtype", "2 is obsolete and has a different layout; use 0")
    if most < least:
        node.refuse("maxLength", f"is {most}, less than minLength, which is {least}")
        most = least
    return BinaryColumn(node.path, least, most, subtype)
