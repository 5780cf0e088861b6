"""Masks: made-up values in place of real ones, the same for the same original everywhere."""

from __future__ import annotations

import struct
from binascii import hexlify
from collections.abc import Sequence
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from typing import Any

from bson import encode
from bson.decimal128 import Decimal128
from bson.errors import InvalidDocument

from dataworks_tasks.documents.bson_types import NULL
from dataworks_tasks.documents.raw_bson import Element, elements
from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.runs.reproducibility import CLOCK_METHODS, UNSEEDED_METHODS, made_otherwise
from dataworks_tasks.runs.spec import MigrationJob, Transform

_POOL_SIZE = 4096
_MARK = 16
"""Digits that keep identifiers apart."""
_STRING = 0x02
_NUMBERS = frozenset({0x01, 0x10, 0x12})
_PREFIX = "faker:"


class Mask:
    """Replaces values with those of one Faker method.

    The value is picked by a keyed hash of seed, method and original, so equal originals stay equal
    in every field and collection that is masked with the same seed and method: masked data still
    joins. Numbers of different BSON types that are equal have the same mask; null stays null.
    Methods that make identifiers (e-mail addresses, user names, UUIDs) give different originals
    different masks; others pick from 4096 values, as names and towns repeat too.
    """

    def __init__(self, method: str, seed: int) -> None:
        key = blake2b(f"{seed}:{method}".encode(), digest_size=32).digest()
        self._key = key
        self._hash = blake2b(key=key, digest_size=16)
        self._pool = _pool(method, seed)
        self._is_uuid = method == "uuid4"
        self._is_identifier = "email" in method or method == "user_name"
        types = {element.type for element in self._pool}
        self.type = types.pop() if len(types) == 1 else None
        """The type byte of every mask; None when they have several."""

        self._halves = [_halves(made.value) for made in self._pool] if self._is_identifier else []

    @property
    def keeps_apart(self) -> bool:
        """Whether different originals have different masks."""
        return self._is_identifier or self._is_uuid

    @property
    def digest(self) -> bytes:
        """A digest of the values it picks from."""
        values = (bytes((made.type,)) + made.value for made in self._pool)
        return blake2b(self._key + b"".join(values), digest_size=16).digest()

    def __call__(self, type_: int, value: bytes) -> tuple[int, bytes]:
        """Return the mask of a value: its type byte and its bytes."""
        if type_ == NULL:
            return type_, value
        (digest,) = self._digests(type_, [value])
        if self._is_identifier or self._is_uuid:
            return _STRING, self._texts([digest])[0]
        made = self._pool[_place(digest)]
        return made.type, made.value

    def all_of(self, type_: int, values: Sequence[bytes]) -> list[bytes]:
        """Return the masks of values that all have BSON type ``type_``; not for null."""
        digests = self._digests(type_, values)
        if self._is_identifier or self._is_uuid:
            return self._texts(digests)
        pool = self._pool
        return [pool[_place(digest)].value for digest in digests]

    def _digests(self, type_: int, values: Sequence[bytes]) -> list[bytes]:
        begun = self._hash.copy()
        if type_ in _NUMBERS:
            values = [_canonical(type_, value) for value in values]
        else:
            begun.update(bytes((type_,)))
        digests = []
        for value in values:
            hashed = begun.copy()  # half the time of a new hash: this one has the key already
            hashed.update(value)
            digests.append(hashed.digest())
        return digests

    def _texts(self, digests: Sequence[bytes]) -> list[bytes]:
        if self._is_uuid:
            return [_text(_uuid_text(digest)) for digest in digests]
        halves = self._halves
        made = []
        for digest in digests:
            user, host = halves[_place(digest)]
            # 64 bits of the original's hash keep different values apart.
            made.append(user + hexlify(digest[2:10]) + host)
        return made


def alike(before: int, after: int) -> bool:
    """Return whether a mask kept the value's type; a number may become another kind of number."""
    return before == after or {before, after} <= _NUMBERS


def mask_digest(transform: Transform) -> str:
    """Return a digest of every value that the masks pick from; empty without masks."""
    if not transform.mask:
        return ""
    digest = blake2b(digest_size=16)
    for _, specification in transform.mask:
        digest.update(create_mask(specification, transform.mask_seed).digest)
    return digest.hexdigest()


def check_masks(job: MigrationJob) -> None:
    """Raise SpecRefused when this process masks values differently from the run's producer."""
    if mask_digest(job.transform) != job.mask_digest:
        raise made_otherwise("masks", job.made_with)


def create_mask(specification: str, seed: int) -> Mask:
    """Create the mask that ``faker:METHOD`` names.

    Raises UsageError for another form and for methods whose values do not repeat, and UnknownName
    with the nearest methods of Faker.
    """
    if not specification.startswith(_PREFIX):
        raise UsageError(
            f"{specification!r} is not a mask", "Write faker:METHOD, for example faker:email"
        )
    method = specification.removeprefix(_PREFIX)
    known = _methods()
    if method not in known:
        raise UnknownName.among("Faker method", method, known)
    if method in CLOCK_METHODS or method in UNSEEDED_METHODS:
        raise UsageError(
            f"Faker's {method} cannot be used as a mask: its values depend on the day or on chance",
            "Choose a method that can be repeated, for example faker:name, or use --set",
        )
    return Mask(method, seed)


@cache
def _methods() -> frozenset[str]:
    from faker import Faker  # a tenth of a command's start, and most migrations mask nothing

    fake = Faker()
    return frozenset(
        name
        for provider in fake.get_providers()
        for name in dir(provider)
        if not name.startswith("_") and callable(getattr(provider, name))
    )


@cache
def _pool(method: str, seed: int) -> Sequence[Element]:
    from faker import Faker

    fake = Faker(use_weighting=False)  # weighted draws take six times as long
    fake.seed_instance(f"{seed}:{method}")
    make = getattr(fake, method)
    try:
        return [_encoded(make()) for _ in range(_POOL_SIZE)]
    except TypeError:
        raise UsageError(
            f"Faker's {method} cannot be used as a mask: it needs arguments",
            "Choose a method that makes a value by itself, for example faker:name",
        ) from None


def _encoded(value: Any) -> Element:
    if isinstance(value, Decimal):
        value = Decimal128(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time_of_day())
    try:
        document = encode({"v": value})
    except (InvalidDocument, OverflowError):
        document = encode({"v": str(value)})
    return next(elements(document))


def _text(value: bytes) -> bytes:
    return (len(value) + 1).to_bytes(4, "little") + value + b"\0"


def _place(digest: bytes) -> int:
    return (digest[0] | digest[1] << 8) % _POOL_SIZE


def _halves(made: bytes) -> tuple[bytes, bytes]:
    """Split a made-up address or name where the original's mark is inserted."""
    user, at, host = made[4:-1].partition(b"@")
    whole = _text(user + b"." + bytes(_MARK) + at + host)
    before = 4 + len(user) + 1
    return whole[:before], whole[before + _MARK :]


def _uuid_text(digest: bytes) -> bytes:
    digits = digest.hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}".encode()


def _canonical(type_: int, value: bytes) -> bytes:
    """Bytes of a number that are the same for equal numbers of different types."""
    if type_ == 0x10:
        return b"n" + struct.pack("<q", struct.unpack("<i", value)[0])
    if type_ == 0x12:
        return b"n" + value
    number: float = struct.unpack("<d", value)[0]
    if number.is_integer() and abs(number) < 2**63:
        return b"n" + struct.pack("<q", int(number))
    return bytes((type_,)) + value
