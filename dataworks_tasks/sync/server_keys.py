"""Which keys a server may consider equal although their bytes differ."""

from __future__ import annotations

import struct
from collections.abc import Hashable

from bson import decode
from bson.decimal128 import Decimal128

from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes

_DOUBLE, _STRING, _SYMBOL, _INT, _LONG, _DECIMAL = 0x01, 0x02, 0x0E, 0x10, 0x12, 0x13
_NUMBERS = frozenset({_DOUBLE, _INT, _LONG, _DECIMAL})
_COMPOUND = {0x03: "document", 0x0F: "code", 0x06: "null", 0x0A: "null"}
"""Types whose values are not parsed: any two of them may be equal."""


def comparison_class(key: Element, *, collated: bool) -> Hashable:
    """Return the same value for any two keys that a server considers equal, such as 1 and 1.0.

    Different keys may also share a value: then the server is asked. ``collated``: strings of the
    collection compare by a collation.
    """
    if key.type in _NUMBERS:
        return "number", _as_double(key)
    if key.type in (_STRING, _SYMBOL):
        return "string", b"" if collated else key.value
    if key.type in _COMPOUND:
        return _COMPOUND[key.type]
    return key.type, key.value


def _as_double(key: Element) -> Hashable:
    """Return the nearest double, which is the same for equal numbers of any type."""
    if key.type == _DECIMAL:
        value: Decimal128 = decode(assemble([element_bytes(key, b"v")]))["v"]
        number = float(value.to_decimal())
    else:
        layout = {_DOUBLE: "<d", _INT: "<i", _LONG: "<q"}[key.type]
        number = float(struct.unpack(layout, key.value)[0])
    return "nan" if number != number else number  # noqa: PLR0124 - a NaN is not equal to itself
