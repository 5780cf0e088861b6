"""A document as strategies see it: a dict that decodes fields on demand."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from functools import wraps
from itertools import chain
from typing import Any

from bson import Binary, Decimal128, Int64, ObjectId, Timestamp, decode, encode
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS

from dataworks_tasks.documents.raw_bson import Span, assemble, fields_called, spans

DOCUMENTS = CodecOptions[dict[str, Any]](
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, tz_aware=True
)
"""How a strategy sees documents: dates outside year 1-9999 stay, invalid UTF-8 is an error."""

_IMMUTABLE = frozenset(
    {str, int, float, bool, type(None), bytes, datetime.datetime}
    | {Binary, DatetimeMS, Decimal128, Int64, ObjectId, Timestamp}
)


class _Mark:
    """Takes the place of a value; the driver refuses to encode it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


_UNREAD = _Mark("<fields that were not read>")
_UNKNOWN = _Mark("<unknown>")
_ABSENT = _Mark("<absent>")
_REMOVED = _Mark("<removed>")
_NOTHING_READ = {"": _UNREAD}
"""What C code finds that takes the entries of a dict directly: not an empty document."""


def _reads_all(name: str) -> Callable[..., Any]:
    """Return dict's method ``name``, called after every field is decoded."""
    method: Callable[..., Any] = getattr(dict, name)

    @wraps(method)
    def called(self: LazyDocument, *arguments: Any, **named: Any) -> Any:
        self.read_all()
        return method(self, *arguments, **named)

    return called


class LazyDocument(dict[str, Any]):
    """A dict of a raw document's fields.

    A field is decoded when it is read; reading all of them (iterating, comparing, copying) decodes
    the complete document. Its ``raw`` form has the source's bytes for every field that was not
    touched, so that a strategy that sets one field costs little, and neither the numeric type of
    the others nor a date outside year 1-9999 can change on the way. The driver encodes it as it is,
    by the protocol of its RawBSONDocument (``_type_marker`` and ``raw``).
    """

    __slots__ = ("_changed", "_found", "_read", "_source")
    _type_marker = 101

    def __init__(self, source: bytes) -> None:
        super().__init__(_NOTHING_READ)
        self._source: bytes | None = source
        self._found: dict[str, list[Span]] = {}
        self._read: dict[str, Any] = {}
        # What has to be encoded: fields that were set, or removed, or read and of a mutable kind.
        self._changed: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if self._source is None:
            return super().__getitem__(key)
        value = self._value(key)
        if value is _ABSENT or value is _REMOVED:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: Any) -> None:
        if self._source is None:
            super().__setitem__(key, value)
        elif self._changed.get(key) is _REMOVED:
            self.read_all()  # it returns, at the end
            super().__setitem__(key, value)
        else:
            self._changed[key] = value

    def __delitem__(self, key: str) -> None:
        self.pop(key)

    def __contains__(self, key: object) -> bool:
        if self._source is None:
            return super().__contains__(key)
        if not isinstance(key, str):
            return False
        known = self._changed.get(key, _UNKNOWN)
        if known is not _UNKNOWN:
            return known is not _REMOVED
        return self._source.startswith(key.encode() + b"\0", 5) or bool(self._find(key))

    def get(self, key: str, default: Any = None, /) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        if self._source is None:
            return super().pop(key, *default)
        value = self._value(key)
        if value is _ABSENT or value is _REMOVED:
            if default:
                return default[0]
            raise KeyError(key)
        if not self._find(key):
            del self._changed[key]  # it was set: nothing of the source's value is left
        else:
            self._changed[key] = _REMOVED
        return value

    def update(self, *other: Any, **named: Any) -> None:
        for key, value in dict(*other, **named).items():
            self[key] = value

    def copy(self) -> dict[str, Any]:
        """Return a plain dict with the same values."""
        self.read_all()
        return super().copy()

    def __ior__(self, other: Any) -> LazyDocument:  # type: ignore[misc, override]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.copy(),)

    __iter__ = _reads_all("__iter__")
    __reversed__ = _reads_all("__reversed__")
    __len__ = _reads_all("__len__")
    __eq__ = _reads_all("__eq__")
    __ne__ = _reads_all("__ne__")
    __or__ = _reads_all("__or__")
    __ror__ = _reads_all("__ror__")
    __repr__ = _reads_all("__repr__")
    __hash__ = None
    clear = _reads_all("clear")
    items = _reads_all("items")
    keys = _reads_all("keys")
    popitem = _reads_all("popitem")
    values = _reads_all("values")

    @property
    def raw(self) -> bytes:
        """The current document as BSON.

        Raises InvalidDocument for values that BSON does not have, ValueError for a source that is
        not BSON.
        """
        if self._source is None:
            return encode(dict(super().items()), codec_options=DOCUMENTS)
        if not self._changed:
            return self._source
        made = {key: value for key, value in self._changed.items() if value is not _REMOVED}
        body = encode(made, codec_options=DOCUMENTS)
        if len(made) == len(self._changed) and not any(map(self._find, made)):
            return assemble([self._source[4:-1], body[4:-1]])
        return assemble(self._pieces(self._source, body))

    def read_all(self) -> None:
        """Decode every field; from then on this is an ordinary dict.

        Raises InvalidBSON for what Python cannot hold: strings that are not UTF-8.
        """
        if self._source is None:
            return
        whole = decode(self._source, codec_options=DOCUMENTS)
        for key, value in self._changed.items():
            if value is _REMOVED:
                del whole[key]
            else:
                whole[key] = value
        self._source = None
        super().clear()
        super().update(whole)

    def _value(self, key: str) -> Any:
        value = self._changed.get(key, _UNKNOWN)
        if value is _UNKNOWN:
            value = self._read.get(key, _UNKNOWN)
        return self._decoded(key) if value is _UNKNOWN else value

    def _decoded(self, key: str) -> Any:
        found = self._find(key) if isinstance(key, str) else []
        if not found:
            return _ABSENT
        assert self._source is not None
        span = found[-1]
        element = bytes((span.type,)) + b"v\0" + self._source[span.start : span.stop]
        value = decode(assemble([element]), codec_options=DOCUMENTS)["v"]
        (self._read if type(value) in _IMMUTABLE else self._changed)[key] = value
        return value

    def _find(self, key: str) -> list[Span]:
        found = self._found.get(key)
        if found is None:
            assert self._source is not None
            found = self._found[key] = fields_called(key.encode(), self._source)
        return found

    def _pieces(self, source: bytes, body: bytes) -> Iterator[bytes]:
        """Yield the source's fields with changes applied, then the new fields."""
        made = {span.name: body[_begin(span) : span.stop] for span in spans(body)}
        run = 4
        for span in sorted(chain.from_iterable(map(self._find, self._changed)), key=_begin):
            yield source[run : _begin(span)]
            yield made.pop(span.name, b"")
            run = span.stop
        yield source[run:-1]
        yield from made.values()


def _begin(span: Span) -> int:
    return span.start - len(span.name) - 2
