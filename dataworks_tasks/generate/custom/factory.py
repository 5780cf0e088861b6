"""Generators by name: registered in code, found in plug-ins and in entry points."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib.metadata import entry_points
from types import ModuleType

from dataworks_tasks.errors import SettingsError, UnknownName
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.generate.custom.custom_source import CustomSource
from dataworks_tasks.plugins import load_plugins

ENTRY_POINTS = "dataworks.generators"


class GeneratorFactory:
    """The generators this process knows.

    ``plugins`` are module names or ``.py`` files out of the process's own settings. A run names a
    generator; it can never name something to import. ``registered`` ones win over both.
    """

    def __init__(
        self, plugins: Iterable[str] = (), registered: Iterable[BaseDataGenerator] = ()
    ) -> None:
        self._generators: dict[str, BaseDataGenerator] = {}
        for module in load_plugins(plugins):
            self._register_all(module)
        for entry in entry_points(group=ENTRY_POINTS):
            self._register_entry(entry.name, entry.load())
        self._generators |= {generator.name: generator for generator in registered}

    def register(self, generator: BaseDataGenerator) -> None:
        """Make ``generator`` known by its name. Raises SettingsError for a name that is taken."""
        if generator.name in self._generators:
            raise SettingsError(
                f"two generators are called {generator.name!r}",
                "Give one of them another name: super().__init__(name=...)",
            )
        self._generators[generator.name] = generator

    def create(self, name: str, seed: int) -> DocumentSource:
        """The documents of generator ``name`` under ``seed``. Raises UnknownName."""
        if name not in self._generators:
            raise UnknownName.among("generator", name, self._generators)
        return CustomSource(self._generators[name], seed)

    def names(self) -> tuple[str, ...]:
        """The names of all generators, sorted."""
        return tuple(sorted(self._generators))

    def _register_all(self, module: ModuleType) -> None:
        """The generators of a plugin; there may be none: it can bring strategies instead."""
        for _, entry in inspect.getmembers(module, inspect.isclass):
            if (
                issubclass(entry, BaseDataGenerator)
                and not inspect.isabstract(entry)
                and entry.__module__ == module.__name__
            ):
                self.register(entry())

    def _register_entry(self, name: str, loaded: object) -> None:
        generator = loaded() if inspect.isclass(loaded) else loaded
        if not isinstance(generator, BaseDataGenerator):
            raise SettingsError(f"the entry point {name} of {ENTRY_POINTS} is not a generator")
        self.register(generator)
