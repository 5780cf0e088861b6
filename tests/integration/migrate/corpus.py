"""Documents that decoding and encoding again would change, built as bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes, embedded


def text(value: bytes) -> bytes:
    """Return a string's value bytes."""
    return struct.pack("<i", len(value) + 1) + value + b"\0"


def double(value: float) -> bytes:
    return struct.pack("<d", value)


def binary(subtype: int, value: bytes) -> bytes:
    return struct.pack("<iB", len(value), subtype) + value


def code_with_scope(code: bytes, scope: bytes) -> bytes:
    body = text(code) + scope
    return struct.pack("<i", len(body) + 4) + body


def nested(depth: int) -> bytes:
    document = assemble([b"\x10end\0" + struct.pack("<i", 1)])
    for _ in range(depth - 1):
        document = assemble([embedded(b"d", document)])
    return document


def decimal(high: int, low: int = 0) -> bytes:
    return struct.pack("<QQ", low, high)


EMPTY = assemble([])
NOT_UTF8 = b"\xff\xfe\x80abc"

IDS: dict[str, tuple[int, bytes]] = {
    "min key": (0xFF, b""),
    "null": (0x0A, b""),
    "NaN": (0x01, double(float("nan"))),
    "double -inf": (0x01, double(float("-inf"))),
    "double": (0x01, double(1.5)),
    "double -0.0": (0x01, double(-0.0)),
    "double inf": (0x01, double(float("inf"))),
    "int32": (0x10, struct.pack("<i", 7)),
    "int32 min": (0x10, struct.pack("<i", -(2**31))),
    "int64": (0x12, struct.pack("<q", 2**53 + 1)),
    "int64 min": (0x12, struct.pack("<q", -(2**63))),
    "decimal": (0x13, decimal(0x3040000000000000, 12345)),
    "decimal trailing zeros": (0x13, decimal(0x303E000000000000, 98760)),
    "empty string": (0x02, text(b"")),
    "string": (0x02, text("größer".encode())),
    "string with NUL": (0x02, text(b"a\0b")),
    "string not UTF-8": (0x02, text(NOT_UTF8)),
    "symbol": (0x0E, text(b"symbol")),
    "empty document": (0x03, EMPTY),
    "document": (0x03, assemble([b"\x10a\0" + struct.pack("<i", 1)])),
    "document with twice the same key": (0x03, assemble([b"\x0aa\0", b"\x0aa\0"])),
    "document of a document": (0x03, nested(5)),
    "binary 0": (0x05, binary(0, b"")),
    "binary 0 longer": (0x05, binary(0, b"\0\1\2")),
    "binary 2": (0x05, binary(2, struct.pack("<i", 3) + b"old")),
    "uuid legacy": (0x05, binary(3, bytes(range(16)))),
    "uuid": (0x05, binary(4, bytes(range(16)))),
    "binary user": (0x05, binary(0x80, b"user")),
    "object id": (0x07, b"\x01" * 12),
    "object id lowest": (0x07, bytes(12)),
    "object id highest": (0x07, b"\xff" * 12),
    "false": (0x08, b"\0"),
    "true": (0x08, b"\1"),
    "date": (0x09, struct.pack("<q", 1_700_000_000_000)),
    "date before year 1": (0x09, struct.pack("<q", -(2**62))),
    "date after year 9999": (0x09, struct.pack("<q", 2**62)),
    "timestamp": (0x11, struct.pack("<II", 5, 1_700_000_000)),
    "dbpointer": (0x0C, text(b"db.coll") + b"\x02" * 12),
    "dbpointer other": (0x0C, text(b"db.coll") + b"\x03" * 12),
    "code": (0x0D, text(b"f()")),
    "code empty": (0x0D, text(b"")),
    "code with scope": (0x0F, code_with_scope(b"f()", EMPTY)),
    "code with larger scope": (0x0F, code_with_scope(b"f()", nested(2))),
    "max key": (0x7F, b""),
}
"""Every type the server takes as an ``_id``, none equal to another."""

VALUES: dict[str, tuple[int, bytes]] = {
    **{f"_id's {name}": value for name, value in IDS.items()},
    "undefined": (0x06, b""),
    "regex": (0x0B, b"^a.*b$\0ims\0"),
    "empty array": (0x04, EMPTY),
    "array with odd keys": (0x04, assemble([b"\x0a5\0", b"\x0ax\0"])),
    "decimal NaN": (0x13, decimal(0x7C00000000000000)),
    "decimal signalling NaN": (0x13, decimal(0x7E00000000000000)),
    "decimal -infinity": (0x13, decimal(0xF800000000000000)),
    "NaN with a payload": (0x01, struct.pack("<Q", 0x7FF8000000001234)),
    "negative NaN": (0x01, struct.pack("<Q", 0xFFF8000000000000)),
    "nested timestamp zero": (0x03, assemble([b"\x11t\0" + bytes(8)])),
    "vector": (0x05, binary(9, b"\x27\0" + double(1.0)[:4])),
}


def field(type_: int, name: bytes, value: bytes) -> bytes:
    return element_bytes(Element(type_, name, value))


def _numbered(number: int) -> bytes:
    return field(0x10, b"_id", struct.pack("<i", 1_000_000 + number))


def documents() -> Iterator[bytes]:
    """Yield a document of each kind; keys with dollar signs, dots and duplicates among them."""
    for type_, value in IDS.values():
        yield assemble([field(type_, b"_id", value), field(0x10, b"n", struct.pack("<i", 1))])
    for number, (type_, value) in enumerate(VALUES.values()):
        yield assemble([_numbered(number), field(type_, b"v", value)])
    odd_keys = (
        [field(0x0A, b"", b"")],
        [field(0x0A, b"a.b", b""), field(0x0A, b"$set", b""), field(0x0A, b".", b"")],
        [field(0x10, b"twice", b"\1\0\0\0"), field(0x10, b"twice", b"\2\0\0\0")],
        [field(0x02, NOT_UTF8, text(NOT_UTF8))],
        [embedded(b"deep", nested(100))],
        [field(0x02, b"large", text(b"x" * (16 * 1024 * 1024 - 40)))],
    )
    for number, fields in enumerate(odd_keys):
        yield assemble([_numbered(1000 + number), *fields])
