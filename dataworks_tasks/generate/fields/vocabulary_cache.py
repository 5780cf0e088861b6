"""Faker's words, drawn once for each (seed, locale, method, arguments)."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.fields import shared_words
from dataworks_tasks.generate.fields.faker_generator import seedable
from dataworks_tasks.generate.fields.faker_import import AVAILABLE_LOCALES, VERSION


def known_locales() -> Sequence[str]:
    """Return every locale that Faker has, in order."""
    return AVAILABLE_LOCALES


_PART = 250
"""Words that a process draws at a time: the most that two processes can draw in vain at the end."""


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
        parts = (VERSION, seed, locale, method, arguments)
        text = "\0".join(map(str, parts))
        self._key = hashlib.blake2b(text.encode(), digest_size=16).digest()

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

    def draw_all(self, count: int) -> list[Any]:
        """Return the values with the numbers below ``count``.

        The processes of a worker need the same ones at about the same time. Each draws parts in an
        order of its own, and takes the texts that another has drawn in the meantime.
        """
        shared = shared_words.shared
        if shared is None:
            return self.draw(range(count))
        parts = [range(start, min(start + _PART, count)) for start in range(0, count, _PART)]
        words: dict[int, list[Any]] = {}
        for number in random.SystemRandom().sample(range(len(parts)), len(parts)):
            found = shared.find(self._key, number)
            if found is None or len(found) != len(parts[number]):
                found = self.draw(parts[number])
                if all(type(word) is str for word in found):
                    shared.add(self._key, number, found)
            words[number] = found
        return [word for number in range(len(parts)) for word in words[number]]
