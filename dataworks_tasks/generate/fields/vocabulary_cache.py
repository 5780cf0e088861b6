"""Faker's words, drawn once per process for each (seed, locale, method, arguments)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from faker import Faker
from faker.config import AVAILABLE_LOCALES

from dataworks_tasks.generate.batch import counter_hash


def known_locales() -> list[str]:
    """Return every locale that Faker has."""
    return sorted(AVAILABLE_LOCALES)


@lru_cache(maxsize=8)
def seedable(locale: str) -> tuple[Any, random.Random]:
    """Faker's generator for ``locale`` and the random source it draws from."""
    generator = Faker(locale, use_weighting=False)._factories[0]
    source = random.Random(0)
    generator.random = source
    return generator, source


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
