"""Faker's generator, with fewer providers at first and shortcuts for what its methods call most.

Every shortcut draws the same random numbers in the same order as Faker's own method, and leaves
what it does not know to that method, so the words are the same.
"""

from __future__ import annotations

import random
import re
import string
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from dataworks_tasks.generate.fields.faker_import import (
    PROVIDERS,
    BaseProvider,
    Factory,
    Generator,
)

_FIRST_PROVIDERS = ["faker.providers.address", "faker.providers.person"]
"""What most templates ask for. No other provider has a method of the same name."""
_TOKEN = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_OTHER_MARKS = re.compile(r"[%$!@]").search
_PATTERNS_KEPT = 1_000

_Pattern = tuple[list[str], list[Callable[[], object]]]
"""The text around a pattern's tokens, and the method of each token."""


class _GrowingGenerator(Generator):
    """Faker's generator with its first providers; the others are added when one is asked for.

    To find the modules of every provider's locale takes longer than to draw the first documents.
    """

    def __init__(self, locale: str, source: random.Random) -> None:
        config: dict[str, Any] = {"locale": locale, "use_weighting": False}  # as Faker's factory
        super().__init__(**config)
        self.random = source
        self._has_all = False
        self._locale = locale
        self._patterns: dict[str, _Pattern | None] = {}
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

    def parse(self, text: str) -> str:
        """Replace the tokens of a pattern. A provider has few patterns: each is read once."""
        if text not in self._patterns:
            if len(self._patterns) == _PATTERNS_KEPT:
                self._patterns.clear()
            self._patterns[text] = self._read(text)
        pattern = self._patterns[text]
        if pattern is None:
            return super().parse(text)
        literals, methods = pattern
        parts = [literals[0]]
        for number, method in enumerate(methods, 1):
            parts += (str(method()), literals[number])
        return "".join(parts)

    def _read(self, text: str) -> _Pattern | None:
        """Return the parts of a pattern, or None if only Faker itself can replace its tokens."""
        pieces = _TOKEN.split(text)
        literals, names = pieces[::2], pieces[1::2]
        if any("{{" in literal for literal in literals):
            return None
        return literals, [self.get_formatter(name) for name in names]

    def _add(self, providers: list[str]) -> None:
        self._patterns.clear()  # their methods may be others now
        Factory.create(self._locale, providers, self, use_weighting=False)
        for provider in self.providers:
            if isinstance(provider, BaseProvider):
                _shorten(provider, self.random)


@lru_cache(maxsize=8)
def seedable(locale: str) -> tuple[_GrowingGenerator, random.Random]:
    """Faker's generator for ``locale`` and the random source it draws from."""
    source = random.Random(0)
    return _GrowingGenerator(locale, source), source


def methods(locale: str) -> list[str]:
    """Return the names of everything that Faker makes in ``locale``."""
    generator, _ = seedable(locale)
    generator._complete()
    return [name for name in dir(generator) if not name.startswith("_")]


def _shorten(provider: BaseProvider, source: random.Random) -> None:
    """Replace the methods of ``provider`` that its others call most."""
    # On the instance: Faker's own methods find these first, and remain as they are.
    shortcuts = {
        "random_element": _random_element,
        "numerify": _numerify,
        "lexify": _lexify,
    }
    for name, shortcut in shortcuts.items():
        own = getattr(type(provider), name)
        if own is getattr(BaseProvider, name):  # a provider's own method may draw otherwise
            setattr(provider, name, shortcut(own.__get__(provider), source))


def _random_element(own: Callable[..., Any], source: random.Random) -> Callable[..., Any]:
    """Return ``random_element`` without weights: what Faker draws is one ``choice``."""
    choice = source.choice

    def random_element(elements: Any = ("a", "b", "c")) -> Any:
        kind = type(elements)
        if kind is tuple or kind is list or kind is str:
            return choice(elements)
        if kind is OrderedDict and (keys := getattr(elements, "_key_cache", None)) is not None:
            return choice(keys)
        return own(elements)

    return random_element


def _numerify(own: Callable[[str], str], source: random.Random) -> Callable[[str], str]:
    """Return ``numerify`` that looks for rare marks once."""
    choice = source.choice

    def numerify(text: str = "###") -> str:
        if _OTHER_MARKS(text):
            return own(text)
        if "#" not in text:
            return text
        return "".join([choice(string.digits) if mark == "#" else mark for mark in text])

    return numerify


def _lexify(own: Callable[..., str], source: random.Random) -> Callable[..., str]:
    """Return ``lexify`` that returns text without marks at once."""

    def lexify(text: str = "????", letters: str = string.ascii_letters) -> str:
        return own(text, letters) if "?" in text else text

    return lexify
