"""Reading BSON without decoding it: where an element is, and its bytes.

Values pass through DataWorks as they are. Decoding and encoding again would not give the same bytes
for every document (duplicate keys, dates outside year 1-9999, invalid UTF-8, DBPointer).
Layout: https://bsonspec.org/spec.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any, NamedTuple

from bson import decode
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.json_util import RELAXED_JSON_OPTIONS, JSONOptions, dumps
from bson.raw_bson import RawBSONDocument

FIXED_SIZES = {
    0x01: 8,  # double
    0x06: 0,  # undefined
    0x07: 12,  # ObjectId
    0x08: 1,  # boolean
    0x09: 8,  # date
    0x0A: 0,  # null
    0x10: 4,  # int32
    0x11: 8,  # timestamp
    0x12: 8,  # int64
    0x13: 16,  # decimal128
    0x7F: 0,  # MaxKey
    0xFF: 0,  # MinKey
}
"""The length of a value of these types."""
LONGER_BY = {
    0x02: 4,  # string
    0x03: 0,  # document
    0x04: 0,  # array
    0x05: 5,  # binary
    0x0C: 16,  # DBPointer
    0x0D: 4,  # code
    0x0E: 4,  # symbol
    0x0F: 0,  # code with scope
}
"""How much longer a value is than the length that it begins with."""
_REGEX = 0x0B
_NOT_A_PLAIN_CONDITION = frozenset({0x04, 0x06, _REGEX})
"""Arrays, undefined and patterns: used as a condition, they mean something else."""
_length_at = Struct("<i").unpack_from
_VALUE_OF_ID = 5
"""Where the value begins in the bytes of an ``_id`` field."""

TOLERANT = CodecOptions[dict[str, Any]](
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    tz_aware=True,
)
"""For showing a document: decoding never fails on anything that a server accepts."""

EXTENDED_JSON = JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO, tz_aware=True)
"""For reading what a person wrote: every date that a server accepts, even after year 9999."""

_SHOWN: JSONOptions = RELAXED_JSON_OPTIONS


class Element(NamedTuple):
    """A field: its type byte, its name and its value's bytes."""

    type: int
    name: bytes
    value: bytes


def value_end(document: bytes, type_: int, start: int) -> int:
    """Return where the value that starts at ``start`` ends.

    Raises ValueError for a type byte that BSON does not have.
    """
    longer = LONGER_BY.get(type_)
    if longer is not None:
        length: int = _length_at(document, start)[0]
        return start + longer + length
    size = FIXED_SIZES.get(type_)
    if size is not None:
        return start + size
    if type_ == _REGEX:
        pattern_end = document.index(0, start) + 1
        return document.index(0, pattern_end) + 1
    raise ValueError(f"BSON has no type {type_:#x}")


class Span(NamedTuple):
    """A field: its type byte, its name and where its value's bytes are."""

    type: int
    name: bytes
    start: int
    stop: int


def spans(data: bytes, first: int = 0) -> Iterator[Span]:
    """Yield the fields of the document at offset ``first``, in order, duplicates included."""
    position = first + 4
    end = first + _length_at(data, first)[0] - 1
    fixed, index = FIXED_SIZES.get, data.index
    while position < end:
        type_ = data[position]
        start = index(0, position + 1) + 1
        size = fixed(type_)
        stop = value_end(data, type_, start) if size is None else start + size
        yield Span(type_, data[position + 1 : start - 1], start, stop)
        position = stop


def fields_called(name: bytes, document: bytes) -> list[Span]:
    """Return every field with that name; a document may repeat it.

    The search stops after the last place where the name occurs in the document's bytes.
    """
    found: list[Span] = []
    ending = name + b"\0"
    last = document.rfind(ending)
    position, fixed, index = 4, FIXED_SIZES.get, document.index
    while position < last:
        type_ = document[position]
        start = index(0, position + 1) + 1
        size = fixed(type_)
        stop = value_end(document, type_, start) if size is None else start + size
        if document.startswith(ending, position + 1):
            found.append(Span(type_, name, start, stop))
        position = stop
    return found


def elements(document: bytes) -> Iterator[Element]:
    """Yield the document's fields in order, duplicates included."""
    for type_, name, start, stop in spans(document):
        yield Element(type_, name, document[start:stop])


def elements_as(name: bytes, document: bytes) -> list[Element]:
    """Return the fields of a document or array in order, all with another ``name``."""
    return [Element(type_, name, document[start:stop]) for type_, _, start, stop in spans(document)]


def find_element(document: bytes, name: bytes) -> Element | None:
    """Return the first field called ``name``; ``_id`` is almost always the first field."""
    return next((element for element in elements(document) if element.name == name), None)


def element_bytes(element: Element, name: bytes | None = None) -> bytes:
    """Return the field's bytes as in a document, under another ``name`` if one is given."""
    shown = element.name if name is None else name
    return bytes((element.type,)) + shown + b"\0" + element.value


def assemble(fields: Iterable[bytes]) -> bytes:
    """Build a document (or the content of an array) from encoded fields."""
    body = b"".join(fields)
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"


def embedded(name: bytes, document: bytes, *, array: bool = False) -> bytes:
    """Build a field that holds a document or an array."""
    return (b"\x04" if array else b"\x03") + name + b"\0" + document


def ids_filter(ids: Iterable[Element]) -> RawBSONDocument:
    """Build the query ``{_id: {$in: [...]}}`` for undecoded values of any type."""
    return keys_filter(element_bytes(id_, b"_id") for id_ in ids)


def keys_filter(keys: Iterable[bytes]) -> RawBSONDocument:
    """Build the same query from the bytes of ``_id`` fields."""
    members = assemble(
        b"%b%d%b" % (key[:1], position, key[_VALUE_OF_ID - 1 :])
        for position, key in enumerate(keys)
    )
    inside = assemble([embedded(b"$in", members, array=True)])
    return RawBSONDocument(assemble([embedded(b"_id", inside)]))


def id_filter(id_: Element) -> RawBSONDocument:
    """Build the query for the document with this ``_id``, of any type."""
    return RawBSONDocument(assemble([id_condition(id_)]))


def id_condition(id_: Element) -> bytes:
    """Build the field ``_id`` of a query: ``{_id: value}``, or ``{$eq: value}`` where that differs.

    For the first, MongoDB goes straight to the index; for the second it plans first, which is half
    of the cost of a replacement.
    """
    if id_.type in _NOT_A_PLAIN_CONDITION or (id_.type == 0x03 and b"$" in id_.value):
        return embedded(b"_id", assemble([element_bytes(id_, b"$eq")]))
    return element_bytes(id_, b"_id")


def key_condition(key: bytes) -> bytes:
    """Build the same from the bytes of an ``_id`` field, which mostly are it."""
    if key[0] in _NOT_A_PLAIN_CONDITION or key[0] == 0x03:
        return id_condition(id_element(key))
    return key


def id_element(key: bytes) -> Element:
    """Return the ``_id`` field with these bytes."""
    return Element(key[0], b"_id", key[_VALUE_OF_ID:])


def shown_value(element: Element) -> str:
    """Format a value as relaxed Extended JSON, for messages and records."""
    value = decode(assemble([element_bytes(element, b"v")]), codec_options=TOLERANT)["v"]
    return dumps(value, json_options=_SHOWN)


def shown_id(document: bytes) -> str:
    """Format a document's ``_id`` as relaxed Extended JSON."""
    element = find_element(document, b"_id")
    return shown_value(element) if element else "(none)"
