"""``faker``: any method of Faker, from a pool drawn beforehand or called for every document."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dataworks_tasks.errors import nearest_or_all
from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Positions
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.values import Text, Values
from dataworks_tasks.generate.columns.constant import kind_of
from dataworks_tasks.generate.columns.enum import Pool
from dataworks_tasks.generate.columns.one_of import OneOfColumn
from dataworks_tasks.generate.fields.distributions import Sample, read_distribution
from dataworks_tasks.generate.fields.encoded import Encoded
from dataworks_tasks.generate.fields.faker_generator import methods, seedable
from dataworks_tasks.generate.fields.faker_js_names import faker_js_advice
from dataworks_tasks.generate.fields.gofakeit_names import (
    FAKER_METHODS,
    UNMAPPED,
    plain_name,
    replaced_methods,
)
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.numbers import whole_within
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.storable import storable
from dataworks_tasks.generate.fields.template_node import ABSENT, TemplateNode, as_number, shown
from dataworks_tasks.generate.fields.variety import Variety
from dataworks_tasks.generate.fields.vocabulary_cache import FakerWords, known_locales
from dataworks_tasks.runs.reproducibility import CLOCK_METHODS, METHODS_REFUSED, UNSEEDED_METHODS

DEFAULT_POOL = 10_000
LARGEST_POOL = 200_000
_SLOW_POOL = 2_000
_POOLS_KEPT = 512
_FEW = 10
"""A chunk of at most a tenth of the pool's size does not wait for the complete pool."""
_SLOW_METHODS = frozenset({
    "address", "bban", "basic_phone_number", "bs", "catch_phrase", "chrome", "company_email",
    "credit_card_number", "csv", "domain_name", "dsv",
    "firefox", "iban", "ipv4", "ipv4_private", "ipv4_public", "ipv6", "isbn10", "isbn13", "json",
    "latitude", "longitude", "paragraph", "paragraphs", "password", "safari",
    "sentence", "sentences", "text", "texts", "tsv", "uri", "url", "user_agent",
})  # fmt: skip
"""Methods whose calls take long: their pools are smaller, so that a process starts fast."""
_INSTEAD = "use the type date or enum"


@dataclass(frozen=True, slots=True)
class FakerCall:
    """A Faker method with its locale and its arguments as JSON."""

    method: str
    locale: str
    arguments: str

    @classmethod
    def of(cls, method: str, locale: str, arguments: dict[str, object]) -> FakerCall:
        """Arguments by name."""
        return cls(method, locale, json.dumps(arguments, sort_keys=True))

    @property
    def one_type(self) -> bool:
        """Whether all its values are text: then a few of them show the type of all of them."""
        return isinstance(self.once(0), str) and not self.method.startswith(("random_", "py"))

    def once(self, seed: int) -> Any:
        """Return one value, freshly seeded."""
        generator, source = seedable(self.locale)
        source.seed(seed)
        return storable(getattr(generator, self.method)(**json.loads(self.arguments)))


class FakerPool:
    """A pool of ``size`` values.

    Few rows draw only what they need; many rows need the complete pool.
    """

    def __init__(self, seed: int, call: FakerCall, size: int) -> None:
        self._words = FakerWords(seed, call.locale, call.method, call.arguments)
        self._size = size
        self._may_have_few = call.one_type
        self._all: Pool | None = None

    def with_numbers(self, numbers: Positions) -> tuple[Pool, Positions]:
        """Return a pool that holds the values with these numbers, and their positions in it."""
        if self._all is not None:
            return self._all, numbers
        if self._may_have_few and len(numbers) <= self._size // _FEW:
            wanted, places = np.unique(numbers, return_inverse=True)
            return self._pool(self._words.draw(wanted.tolist() or [0])), places
        self._all = self._pool(self._words.draw_all(self._size))
        return self._all, numbers

    def _pool(self, words: Iterable[Any]) -> Pool:
        return Pool([storable(word) for word in words])


@lru_cache(maxsize=_POOLS_KEPT)
def pool_of(seed: int, call: FakerCall, size: int) -> FakerPool:
    """Return this process' pool for a call."""
    return FakerPool(seed, call, size)


class FakerColumn(Column):
    """Draws from a pool of values that is made once per process."""

    def __init__(self, path: str, call: FakerCall, size: int, sample: Sample | None) -> None:
        self._call, self._size, self._sample = call, size, sample
        self._salt = counter_hash.salt(path)
        self.kind = kind_of(call.once(0))

    def _drawn(self, rows: Rows) -> tuple[Pool, Positions]:
        if self not in rows.memo:
            pool = pool_of(rows.seed, self._call, self._size)
            rows.memo[self] = pool.with_numbers(self._numbers(rows))
        kept: tuple[Pool, Positions] = rows.memo[self]
        return kept

    def _numbers(self, rows: Rows) -> Positions:
        bits = counter_hash.draw(rows.keys, self._salt)
        if self._sample is None:
            return counter_hash.below(bits, self._size)
        return whole_within(self._sample(bits), 0, self._size - 1)

    def variety(self) -> Variety | None:
        return Variety.among(self._size)

    def encode(self, rows: Rows) -> Encoded:
        pool, numbers = self._drawn(rows)
        return pool.encode(numbers)

    def values(self, rows: Rows) -> Values | None:
        pool, numbers = self._drawn(rows)
        return pool.values(numbers)

    def text(self, rows: Rows) -> Text:
        pool, numbers = self._drawn(rows)
        return pool.text(numbers)


class FakerCallColumn(Column):
    """Calls Faker for every row, seeded by the row."""

    def __init__(self, path: str, call: FakerCall) -> None:
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
        return self._made(rows).encode(np.arange(len(rows)))

    def values(self, rows: Rows) -> Values | None:
        return self._made(rows).values(np.arange(len(rows)))

    def text(self, rows: Rows) -> Text:
        return self._made(rows).text(np.arange(len(rows)))


@column_type("faker")
def read_faker(node: TemplateNode) -> Column:
    """Type faker: method, args, locale en_US (or weights by locale), pool 10,000 (0: no pool)."""
    written = node.text("method", "")
    method = FAKER_METHODS.get(plain_name(written), written)
    if plain_name(written) in replaced_methods() and not _is_fakers(written):
        return _read_replacement(node, written)
    locales = _read_locales(node)
    arguments = node.take("args")
    default = _SLOW_POOL if method in _SLOW_METHODS else DEFAULT_POOL
    size = node.integer("pool", default, least=0, most=LARGEST_POOL)
    sample = read_distribution(node, 0, max(size - 1, 1))
    columns: list[Column] = []
    for locale in locales:
        call = _read_call(node, (written, method), locale, arguments)
        if call is None:
            return FakerCallColumn(node.path, FakerCall.of("boolean", "en_US", {}))
        path = node.path if len(locales) == 1 else f"{node.path} {locale}"
        pooled = FakerColumn(path, call, size, sample) if size else None
        columns.append(pooled or FakerCallColumn(path, call))
    if len(columns) == 1:
        return columns[0]
    # Fields with the same mix go together: a first name and a last name of one locale.
    mix = json.dumps(locales, sort_keys=True)
    salted = f"{node.reader.collection} locales {mix}"
    return OneOfColumn(salted, columns, list(locales.values()))


def _read_locales(node: TemplateNode) -> dict[str, float]:
    """Read the locales and their weights."""
    value = node.take("locale")
    if value is ABSENT:
        return {"en_US": 1.0}
    if isinstance(value, str):
        return {value: 1.0}
    if isinstance(value, list) and value and all(isinstance(entry, str) for entry in value):
        return dict.fromkeys(value, 1.0)
    weights: dict[str, float] = {}
    for locale, entry in value.items() if isinstance(value, dict) else ():
        weight = as_number(entry)
        if weight is None or weight < 0:
            node.refuse(f"locale.{locale}", f"must be a weight, not {shown(entry)}")
            return {"en_US": 1.0}
        weights[locale] = float(weight)
    if not sum(weights.values()):
        node.refuse("locale", f"must be a name, or an object of weights, not {shown(value)}")
        return {"en_US": 1.0}
    return {locale: weight for locale, weight in weights.items() if weight}


def _is_fakers(written: str) -> bool:
    """Return whether Faker has a method of exactly this name that can be called."""
    return written not in CLOCK_METHODS and _is_method(written, "en_US")


def _read_replacement(node: TemplateNode, written: str) -> Column:
    """Return DataWorks' own column for a Faker method that cannot be called."""
    node.take("pool")  # there is nothing to draw beforehand
    for key in ("locale", "args", "distribution"):
        if node.has(key):
            node.refuse(
                key, f"cannot be combined with {written!r}, which has no arguments here; {_INSTEAD}"
            )
        node.take(key)
    return node.column(replaced_methods()[plain_name(written)], "")


def _read_call(
    node: TemplateNode, method: tuple[str, str], locale: str, arguments: object
) -> FakerCall | None:
    written, name = method
    if locale not in known_locales():
        node.refuse("locale", f"{locale!r} is unknown. {nearest_or_all(locale, known_locales())}")
        return None
    if arguments is not ABSENT and not isinstance(arguments, dict):
        node.refuse("args", f"must be an object of arguments by name, not {shown(arguments)}")
        return None
    problem = _problem_of(written, name, locale)
    if problem:
        node.refuse("method", problem)
        return None
    call = FakerCall.of(name, locale, arguments if isinstance(arguments, dict) else {})
    try:
        Pool([call.once(0)])
    except Exception as error:  # noqa: BLE001 - whatever a provider raises for bad arguments
        node.refuse("args", f"{name} cannot be called like this: {type(error).__name__}: {error}")
        return None
    return call


def _is_method(name: str, locale: str) -> bool:
    if name.startswith("_") or name in METHODS_REFUSED:
        return False
    return callable(getattr(seedable(locale)[0], name, None))


def _problem_of(written: str, name: str, locale: str) -> str:
    """Return why a method cannot be used; empty if it can."""
    if name in CLOCK_METHODS:
        return f"{name!r} reads the clock, so a run could not be repeated; {_INSTEAD}"
    if name in UNSEEDED_METHODS:
        return f"{name!r} ignores the seed, so a run could not be repeated; use the type enum"
    return "" if _is_method(name, locale) else _unknown_method(written, locale)


def _unknown_method(written: str, locale: str) -> str:
    advice = UNMAPPED.get(plain_name(written))
    if advice:
        return f"{written!r} needs arguments; {advice}"
    of_faker_js = faker_js_advice(written)
    if of_faker_js:
        return of_faker_js
    names = [name for name in methods(locale) if name not in METHODS_REFUSED]
    if not written:
        return "is missing: what to ask Faker for, such as name or city"
    return f"{written!r} is not a Faker method. {nearest_or_all(written.lower(), names)}"
