"""Faker, imported without the search for its locales, which takes three quarters of the time.

To know the names of its locales, ``faker.config`` imports all 24 providers and opens 700 folders.
Here it does so when somebody asks for a locale other than the default.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import overload

_SEARCH = "faker.utils.loading"
_DEFAULT_LOCALE = "en_US"


class _Locales(Sequence[str]):
    """The names of all locales, searched for when they are first needed."""

    def __init__(self, search: Callable[[list[str]], list[str]], providers: list[str]) -> None:
        self._search = partial(search, providers)

    @cached_property
    def _names(self) -> list[str]:
        return self._search()

    def __contains__(self, name: object) -> bool:
        return name == _DEFAULT_LOCALE or name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._names[index]


def _import_faker() -> None:
    """Import Faker; while it is imported, its search returns ``_Locales``."""
    package = find_spec("faker")  # imports nothing
    if package is None or package.origin is None:
        return
    spec = spec_from_file_location(_SEARCH, Path(package.origin).parent / "utils" / "loading.py")
    if spec is None or spec.loader is None:
        return
    loading = module_from_spec(spec)
    spec.loader.exec_module(loading)
    search = loading.find_available_locales
    loading.find_available_locales = partial(_Locales, search)  # type: ignore[attr-defined]
    sys.modules[_SEARCH] = loading
    import faker  # noqa: F401

    loading.find_available_locales = search  # type: ignore[attr-defined]


if "faker" not in sys.modules:
    _import_faker()

from faker import VERSION, Faker  # noqa: E402
from faker.config import AVAILABLE_LOCALES, DEFAULT_LOCALE, PROVIDERS  # noqa: E402
from faker.factory import Factory  # noqa: E402
from faker.generator import Generator  # noqa: E402
from faker.providers import BaseProvider  # noqa: E402

__all__ = [
    "AVAILABLE_LOCALES",
    "DEFAULT_LOCALE",
    "PROVIDERS",
    "VERSION",
    "BaseProvider",
    "Factory",
    "Faker",
    "Generator",
]
