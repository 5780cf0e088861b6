"""Generators by name: registered in code, found in plug-ins and in entry points."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from dataworks_tasks.errors import SettingsError, UnknownName
from dataworks_tasks.generate.base import BaseDataGenerator
from dataworks_tasks.generate.custom_source import CustomSource
from dataworks_tasks.generate.document_source import DocumentSource

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
        for plugin in plugins:
            self._register_all(_import(plugin), plugin)
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

    def _register_all(self, module: ModuleType, plugin: str) -> None:
        classes = [
            entry
            for _, entry in inspect.getmembers(module, inspect.isclass)
            if issubclass(entry, BaseDataGenerator)
            and not inspect.isabstract(entry)
            and entry.__module__ == module.__name__
        ]
        if not classes:
            raise SettingsError(
                f"the plugin {plugin} has no generator",
                "It needs a class that extends BaseDataGenerator",
            )
        for entry in classes:
            self.register(entry())

    def _register_entry(self, name: str, loaded: object) -> None:
        generator = loaded() if inspect.isclass(loaded) else loaded
        if not isinstance(generator, BaseDataGenerator):
            raise SettingsError(f"the entry point {name} of {ENTRY_POINTS} is not a generator")
        self.register(generator)


def _import(plugin: str) -> ModuleType:
    try:
        if plugin.endswith(".py"):
            return _import_file(Path(plugin))
        return importlib.import_module(plugin)
    except (ImportError, OSError, SyntaxError) as error:
        raise SettingsError(
            f"cannot import the plugin {plugin}: {error}",
            "FRAMEWORK_PLUGINS takes module names and paths of .py files",
        ) from error


def _import_file(path: Path) -> ModuleType:
    name = f"dataworks_plugin_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module
