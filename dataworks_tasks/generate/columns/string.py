"""``string`` and ``stringFromParts``: random letters, unique letters, joined text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import windows
from dataworks_tasks.generate.batch.random_bytes import LETTERS, random_letters
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Fixed, Ragged, Segment
from dataworks_tasks.generate.batch.values import Text
from dataworks_tasks.generate.fields.model import Column, Field
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.scope import linked
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.text_column import TextColumn
from dataworks_tasks.generate.fields.variety import Variety, of_lengths, together

LONGEST = 16_000_000
"""A little less than the 16 MiB that a document may have."""
_ALPHABET = np.frombuffer(LETTERS, np.uint8)
_BITS_A_LETTER = np.uint64(6)
_WIDEST_COLUMN = 512
"""The widest column of fixed width that is merged with the bytes around it, in letters."""


class StringColumn(TextColumn):
    """Random letters, from ``least`` to ``most`` of them."""

    def __init__(self, path: str, least: int, most: int) -> None:
        self._least, self._most = least, most
        self._salt = counter_hash.salt(path)
        self._length_salt = counter_hash.salt(path, "length")

    def text(self, rows: Rows) -> Text:
        if not self._most:
            return Text([], len(rows))
        lengths = np.full(len(rows), self._most)
        if self._least < self._most:
            bits = counter_hash.draw(rows.keys, self._length_salt)
            lengths = counter_hash.below(bits, self._most - self._least + 1) + self._least
        arena = random_letters(rows.keys, self._salt, lengths)
        if self._least == self._most <= _WIDEST_COLUMN and len(rows):
            block = windows(arena.buffer, self._most)[arena.starts]
            return Text([Fixed(block)], len(rows))
        return Text([Ragged(arena, arena.starts, lengths)], len(rows))

    def variety(self) -> Variety | None:
        return of_lengths(len(LETTERS), self._least, self._most)


class UniqueStringColumn(TextColumn):
    """The ordinal in base 64, in a fixed number of letters: no two the same."""

    unique = True

    def __init__(self, width: int) -> None:
        self._width = width

    def text(self, rows: Rows) -> Text:
        block = np.full((len(rows), self._width), _ALPHABET[0], np.uint8)
        rest = rows.ordinals
        for place in range(self._width - 1, max(self._width - 11, -1), -1):
            block[:, place] = _ALPHABET[(rest & np.uint64(63)).view(np.int64)]
            rest = rest >> _BITS_A_LETTER
        return Text([Fixed(block.view(f"V{self._width}").ravel())], len(rows))

    def capacity(self) -> int:
        return 1 << 6 * min(self._width, 10)


class JoinedColumn(TextColumn):
    """The text of several columns, one after the other."""

    def __init__(self, parts: Sequence[Column]) -> None:
        self._parts = parts
        self.unique = any(part.unique for part in parts) and len(parts) == 1

    def text(self, rows: Rows) -> Text:
        segments: list[Segment] = []
        for part in self._parts:
            segments += linked(part.text(rows)).segments
        return Text(segments, len(rows))

    def capacity(self) -> int | None:
        return self._parts[0].capacity() if self.unique else None

    def variety(self) -> Variety | None:
        return together(part.variety() for part in self._parts)

    def depends(self) -> Iterator[Field]:
        for part in self._parts:
            yield from part.depends()


@column_type("string")
def read_string(node: TemplateNode) -> Column:
    """Type string: minLength 0, maxLength 8, unique."""
    least = node.integer("minLength", 0, "size", least=0, most=LONGEST)
    most = node.integer("maxLength", max(8, least), least=0, most=LONGEST)
    if most < least:
        node.refuse("maxLength", f"is {most}, less than minLength, which is {least}")
        most = least
    if node.flag("unique", False):
        return UniqueStringColumn(max(most, 1))
    return StringColumn(node.path, least, most)


@column_type("stringFromParts")
def read_parts(node: TemplateNode) -> Column:
    """Type stringFromParts: parts, each a column that has text."""
    parts = []
    for index, value in enumerate(node.items("parts")):
        part = node.column(value, f"parts[{index}]")
        if type(part).text is Column.text:
            node.refuse(f"parts[{index}]", "has a type that cannot be written as text")
        parts.append(part)
    return JoinedColumn(parts)
