"""A document, taken apart only where it is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from dataworks_tasks.documents.bson_types import NULL
from dataworks_tasks.documents.raw_bson import value_end
from dataworks_tasks.migrate.rules import RuleOutcome
from dataworks_tasks.migrate.value_column import ValueColumn

FieldNames = Mapping[bytes, "FieldNames"]
"""The fields that changes touch, level by level."""


class ValueChange(Protocol):
    """Maps values to replacements. ``type`` is their BSON type byte, None if it varies."""

    type: int | None

    def __call__(self, type_: int, value: bytes) -> tuple[int, bytes]:
        """Return the replacement's type byte and bytes."""

    def all_of(self, type_: int, values: Sequence[bytes]) -> list[bytes]:
        """Return the replacements of values of one type; for a change that makes one type."""


DOCUMENT, ARRAY = 0x03, 0x04


class Route(NamedTuple):
    """A dotted path, one step at a time: a name leads to the rest, or to the field itself (None).

    The rest of a path may also be one name with dots in it: servers store such fields.
    """

    steps: tuple[tuple[bytes, Route | None], ...]

    @classmethod
    def of(cls, path: Sequence[bytes]) -> Route:
        """Return every way to read ``path``, the one through documents first."""
        through = [
            (b".".join(path[:length]), cls.of(path[length:])) for length in range(1, len(path))
        ]
        return cls((*through, (b".".join(path), None)))


class NotAlike(Exception):
    """The change has to be made document by document."""


class FieldNode:
    """A field that may be changed. ``inside`` is set once its value was opened."""

    __slots__ = ("inside", "name", "names", "type", "value")

    def __init__(
        self, type_: int, name: bytes, value: bytes | ValueColumn, names: FieldNames
    ) -> None:
        self.type, self.name, self.value = type_, name, value
        self.names = names
        self.inside: FieldNodes | None = None

    def put(self, type_: int, value: bytes | ValueColumn) -> None:
        """Replace the value."""
        self.type, self.value, self.inside = type_, value, None

    def open(self) -> FieldNodes | None:
        """Return the fields of a document or array; None for another type."""
        if self.inside is None and self.type in (DOCUMENT, ARRAY):
            if isinstance(self.value, ValueColumn):
                raise NotAlike
            self.inside = FieldNodes.read(self.value, self.names, array=self.type == ARRAY)
        return self.inside

    def replace(self, change: ValueChange) -> None:
        """Replace the value with what ``change`` makes of it."""
        if isinstance(self.value, ValueColumn):
            if change.type is None or self.inside is not None:
                raise NotAlike
            self.put(change.type, ValueColumn.of(change.all_of(self.type, self.value.values())))
            return
        value = self.value if self.inside is None else self.inside.to_bytes()
        self.put(*change(self.type, value))


class FieldNodes:
    """The inside of a document: fields of interest, and runs of bytes between them."""

    __slots__ = ("is_array", "names", "parts")

    def __init__(
        self,
        parts: list[FieldNode | bytes | ValueColumn],
        names: FieldNames,
        is_array: bool = False,
    ) -> None:
        self.parts = parts
        self.names = names
        self.is_array = is_array

    @classmethod
    def read(cls, document: bytes, names: FieldNames, array: bool = False) -> FieldNodes:
        """Take ``document`` apart at ``names``, and an array at each of its members.

        Raises ValueError for a type byte that BSON does not have.
        """
        parts: list[FieldNode | bytes | ValueColumn] = []
        position = run = 4
        end = len(document) - 1
        while position < end:
            type_ = document[position]
            name_end = document.index(0, position + 1)
            start = name_end + 1
            stop = value_end(document, type_, start)
            name = document[position + 1 : name_end]
            if array or name in names:
                if run < position:
                    parts.append(document[run:position])
                inner = names if array else names[name]
                parts.append(FieldNode(type_, name, document[start:stop], inner))
                run = stop
            position = stop
        if run < end:
            parts.append(document[run:end])
        return cls(parts, names, array)

    def to_bytes(self) -> bytes:
        """Encode the current document; only for fields that hold no columns."""
        pieces = [b""]
        for part in self.parts:
            if isinstance(part, FieldNode):
                value = part.value if part.inside is None else part.inside.to_bytes()
                assert isinstance(value, bytes)
                pieces += (bytes((part.type,)), part.name, b"\0", value)
            elif isinstance(part, bytes):
                pieces.append(part)
        body = b"".join(pieces)
        return (len(body) + 5).to_bytes(4, "little") + body + b"\0"

    def called(self, name: bytes) -> list[FieldNode]:
        """Return the fields with that name; a document may repeat it."""
        return [part for part in self.parts if isinstance(part, FieldNode) and part.name == name]

    def members(self) -> list[FieldNode]:
        """All fields of an array."""
        return [part for part in self.parts if isinstance(part, FieldNode)]

    def remove(self, fields: Sequence[FieldNode]) -> None:
        """Take fields out."""
        self.parts = [part for part in self.parts if part not in fields]

    def append(self, type_: int, name: bytes, value: bytes) -> FieldNode:
        """Add a field at the end."""
        field = FieldNode(type_, name, value, self.names.get(name, {}))
        self.parts.append(field)
        return field

    def holders(self, path: Sequence[bytes], outcome: RuleOutcome) -> Iterator[FieldNodes]:
        """Yield the documents that contain a path's last field, through arrays."""
        if self.is_array:
            for inside in _opened(self.members(), outcome):
                yield from inside.holders(path, outcome)
        elif len(path) == 1:
            yield self
        else:
            for inside in _opened(self.called(path[0]), outcome):
                yield from inside.holders(path[1:], outcome)

    def at(self, route: Route, outcome: RuleOutcome) -> Iterator[tuple[FieldNodes, FieldNode]]:
        """Yield the fields of a route, through arrays, each with the document around it."""
        if self.is_array:
            for inside in _opened(self.members(), outcome):
                yield from inside.at(route, outcome)
            return
        for part in self.parts:
            if not isinstance(part, FieldNode):
                continue
            for name, rest in route.steps:
                if part.name != name:
                    continue
                if rest is None:
                    yield self, part
                else:
                    for inside in _opened((part,), outcome):
                        yield from inside.at(rest, outcome)

    def made_holders(self, path: Sequence[bytes], outcome: RuleOutcome) -> Iterator[FieldNodes]:
        """Yield the documents for a path's last field; create missing ones on the way.

        A value on the way that is neither a document nor null is replaced, and counted as lost.
        """
        if self.is_array:
            for inside in _opened(self.members(), outcome):
                yield from inside.made_holders(path, outcome)
            return
        if len(path) == 1:
            yield self
            return
        for field in self.called(path[0]) or [self.append(DOCUMENT, path[0], b"\x05\0\0\0\0")]:
            if field.open() is None:
                outcome.displaced += field.type != NULL
                field.put(DOCUMENT, b"\x05\0\0\0\0")
            below = field.open()
            if below is not None:
                yield from below.made_holders(path[1:], outcome)


def _opened(fields: Iterable[FieldNode], outcome: RuleOutcome) -> Iterator[FieldNodes]:
    """Yield the content of documents and arrays; count other values, which end the path."""
    for field in fields:
        inside = field.open()
        if inside is not None:
            yield inside
        elif field.type != NULL:
            outcome.unreached += 1
