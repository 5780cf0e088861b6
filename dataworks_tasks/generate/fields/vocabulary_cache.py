"""Faker's words, drawn once per process for each (seed, locale, method, arguments)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.fields.faker_import import (
    AVAILABLE_LOCALES,
    PROVIDERS,
    Factory,
    Generator,
)


def known_locales() -> Sequence[str]:
    """Return every locale that Faker has, in order."""
    return AVAILABLE_LOCALES


_FIRST_PROVIDERS = ["faker.providers.address", "faker.providers.person"]
"""What most templates ask for. No other provider has a method of the same name."""


class _GrowingGenerator(Generator):
    """Faker's generator with its first providers; the others are added when one is asked for.

    To find the modules of every provider's locale takes longer than to draw the first documents.
    """

    def __init__(self, locale: str) -> None:
        config: dict[str, Any] = {"locale": locale, "use_weighting": False}  # as Faker's factory
        super().__init__(**config)
        self._has_all = False
        self._locale = locale
        self._add(_FIRST_PROVIDERS)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self._has_all:
            raise AttributeError(name)
        self._complete()
        return getattr(self, name)

    def _complete(self) -> None:
        """Add every provider, in the order that decides between methods of one name."""
        if not self._has_all:
            self._has_all = True
            self._add(PROVIDERS)

    def _add(self, providers: list[str]) -> None:
        Factory.create(self._locale, providers, self, use_weighting=False)


@lru_cache(maxsize=8)
def seedable(locale: str) -> tuple[_GrowingGenerator, random.Random]:
    """Faker's generator for ``locale`` and the random source it draws from."""
    generator = _GrowingGenerator(locale)
    source = random.Random(0)
    generator.random = source
    return generator, source


def methods(locale: str) -> list[str]:
    """Return the names of everything that Faker makes in ``locale``."""
    generator, _ = seedable(locale)
    generator._complete()
    return [name for name in dir(generator) if not name.startswith("_")]


class FakerWords:
    """Values of a Faker method by number, each drawn when it is first wanted.

    ``arguments`` is JSON, and part of what is drawn. Every number has a seed of its own, so a
    value does not depend on which others were drawn.
    """

    def __init__(self, seed: int, locale: str, method: str, arguments: str) -> None:
        self._salt = counter_hash.salt("faker", seed, locale, method, arguments)
        self._locale = locale
        self._method = method
        self._options = json.loads(arguments)
        self._drawn: dict[int, Any] = {}

    def draw(self, numbers: Iterable[int]) -> list[Any]:
        """Return the values with these numbers."""
        generator, source = seedable(self._locale)
        call = getattr(generator, self._method)
        drawn, first = self._drawn, int(self._salt)
        words = []
        for number in numbers:
            if number not in drawn:
                source.seed(first + number)
                drawn[number] = call(**self._options)
            words.append(drawn[number])
        return words
