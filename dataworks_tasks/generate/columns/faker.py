"""``faker``: any method of Faker, from a pool drawn beforehand or called for every document."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
from bson import Decimal128

from dataworks_tasks.errors import nearest_or_all
from dataworks_tasks.generate import counter_hash
from dataworks_tasks.generate.arena import Positions
from dataworks_tasks.generate.column import Column, Encoded
from dataworks_tasks.generate.columns.constant import kind_of
from dataworks_tasks.generate.columns.enum import Pool
from dataworks_tasks.generate.distributions import Sample, read_distribution
from dataworks_tasks.generate.gofakeit_names import FAKER_METHODS, UNMAPPED
from dataworks_tasks.generate.registry import column_type
from dataworks_tasks.generate.rows import Rows
from dataworks_tasks.generate.spec import ABSENT, Spec, shown
from dataworks_tasks.generate.values import Text, Values
from dataworks_tasks.generate.vocabulary_cache import draw_words, known_locales, seedable

DEFAULT_POOL = 10_000
LARGEST_POOL = 200_000
_SLOW_POOL = 2_000
_POOLS_KEPT = 512
_SLOW_METHODS = frozenset({
    "address", "bban", "basic_phone_number", "bs", "catch_phrase", "chrome", "company_email",
    "credit_card_expire", "credit_card_full", "credit_card_number", "csv", "domain_name", "dsv",
    "firefox", "iban", "ipv4", "ipv4_private", "ipv4_public", "ipv6", "isbn10", "isbn13", "json",
    "latitude", "longitude", "month", "paragraph", "paragraphs", "password", "profile", "safari",
    "sentence", "sentences", "simple_profile", "text", "texts", "tsv", "uri", "url", "user_agent",
})  # fmt: skip
"""Methods that take long for a call: their pools are smaller, so that a process starts fast."""
_METHODS_REFUSED = frozenset({
    "add_provider", "format", "parse", "provider", "seed", "seed_instance", "set_formatter",
    "set_arguments", "get_formatter", "get_providers", "del_arguments", "get_arguments",
    "binary", "zip", "tar", "image", "json_bytes", "xml", "pytimezone", "enum", "optional",
})  # fmt: skip


class Call:
    """A Faker method with its locale and arguments."""

    def __init__(self, method: str, locale: str, arguments: dict[str, object]) -> None:
        self.method = method
        self.locale = locale
        self.arguments = json.dumps(arguments, sort_keys=True)

    def once(self, seed: int) -> Any:
        """One value of it, freshly seeded."""
        generator, source = seedable(self.locale)
        source.seed(seed)
        return storable(getattr(generator, self.method)(**json.loads(self.arguments)))


def storable(value: Any) -> Any:
    """What Faker made as a value MongoDB can store."""
    if isinstance(value, Decimal):
        return Decimal128(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, tuple | set | list):
        return [storable(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): storable(entry) for key, entry in value.items()}
    return value


@lru_cache(maxsize=_POOLS_KEPT)
def _pool(seed: int, locale: str, method: str, arguments: str, count: int) -> Pool:
    words = draw_words(seed, locale, method, arguments, count)
    return Pool([storable(word) for word in words])


class FakerColumn(Column):
    """Draws from a pool of values made once a process."""

    def __init__(self, path: str, call: Call, size: int, sample: Sample | None) -> None:
        self._call, self._size, self._sample = call, size, sample
        self._salt = counter_hash.salt(path)
        self.kind = kind_of(call.once(0))

    def _drawn(self, rows: Rows) -> tuple[Pool, Positions]:
        call = self._call
        pool = _pool(rows.seed, call.locale, call.method, call.arguments, self._size)
        if self not in rows.memo:
            bits = counter_hash.draw(rows.keys, self._salt)
            if self._sample is None:
                rows.memo[self] = counter_hash.below(bits, self._size)
            else:
                rank = np.clip(np.rint(self._sample(bits)), 0, self._size - 1)
                rows.memo[self] = rank.astype(np.int64)
        return pool, rows.memo[self]

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        pool, numbers = self._drawn(rows)
        return pool.encode(numbers)

    def values(self, rows: Rows) -> Values | None:
        """See Column."""
        pool, numbers = self._drawn(rows)
        return pool.values(numbers)

    def text(self, rows: Rows) -> Text:
        """See Column."""
        pool, numbers = self._drawn(rows)
        return pool.text(numbers)


class FakerCallColumn(Column):
    """Calls Faker for every row, seeded by the row."""

    def __init__(self, path: str, call: Call) -> None:
        self._call = call
        self._salt = counter_hash.salt(path)
        self.kind = kind_of(call.once(0))

    def _made(self, rows: Rows) -> Pool:
        if self not in rows.memo:
            bits = counter_hash.draw(rows.keys, self._salt)
            made = [self._call.once(seed) for seed in bits.tolist()]
            rows.memo[self] = Pool(made or [None])
        kept: Pool = rows.memo[self]
        return kept

    def encode(self, rows: Rows) -> Encoded:
        """See Column."""
        return self._made(rows).encode(np.arange(len(rows)))

    def values(self, rows: Rows) -> Values | None:
        """See Column."""
        return self._made(rows).values(np.arange(len(rows)))

    def text(self, rows: Rows) -> Text:
        """See Column."""
        return self._made(rows).text(np.arange(len(rows)))


@column_type("faker")
def read_faker(spec: Spec) -> Column:
    """faker: method, args, locale en_US, pool 10,000 (0: call for every document)."""
    written = spec.text("method", "")
    method = FAKER_METHODS.get(written.lower().replace("_", ""), written)
    locale = spec.text("locale", "en_US")
    arguments = spec.take("args")
    default = _SLOW_POOL if method in _SLOW_METHODS else DEFAULT_POOL
    size = spec.integer("pool", default, least=0, most=LARGEST_POOL)
    sample = read_distribution(spec, 0, max(size - 1, 1))
    call = _read_call(spec, (written, method), locale, arguments)
    if call is None:
        return FakerCallColumn(spec.path, Call("boolean", "en_US", {}))
    return FakerColumn(spec.path, call, size, sample) if size else FakerCallColumn(spec.path, call)


def _read_call(spec: Spec, method: tuple[str, str], locale: str, arguments: object) -> Call | None:
    written, name = method
    if locale not in known_locales():
        spec.refuse("locale", f"{locale!r} is unknown. {nearest_or_all(locale, known_locales())}")
        return None
    if arguments is not ABSENT and not isinstance(arguments, dict):
        spec.refuse("args", f"must be an object of arguments by name, not {shown(arguments)}")
        return None
    if not _is_method(name, locale):
        spec.refuse("method", _unknown_method(written, locale))
        return None
    call = Call(name, locale, arguments if isinstance(arguments, dict) else {})
    try:
        Pool([call.once(0)])
    except Exception as error:  # noqa: BLE001 - whatever a provider raises for bad arguments
        spec.refuse("args", f"{name} cannot be called like this: {type(error).__name__}: {error}")
        return None
    return call


def _is_method(name: str, locale: str) -> bool:
    if name.startswith("_") or name in _METHODS_REFUSED:
        return False
    return callable(getattr(seedable(locale)[0], name, None))


def _unknown_method(written: str, locale: str) -> str:
    advice = UNMAPPED.get(written.lower().replace("_", ""))
    if advice:
        return f"{written!r} has no Faker twin; {advice}"
    names = [
        name
        for name in dir(seedable(locale)[0])
        if not name.startswith("_") and name not in _METHODS_REFUSED
    ]
    return f"{written!r} is not a Faker method. {nearest_or_all(written.lower(), names)}"
