"""Generators by name: registered in code, found in plug-ins and in entry points."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib.metadata import entry_points
from types import ModuleType
from typing import TypeGuard

from dataworks_tasks.errors import SettingsError, UnknownName
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.custom.base import BaseDataGenerator
from dataworks_tasks.generate.custom.custom_source import CustomSource
from dataworks_tasks.plugins import docstring_summary, load_plugins

ENTRY_POINTS = "dataworks.generators"


class GeneratorFactory:
    """The generators this process knows.

    ``plugins`` are module names or ``.py`` files from the process's own settings. A run names a
    generator; it can never name something to import. ``registered`` ones override both.
    """

    def __init__(
        self, plugins: Iterable[str] = (), registered: Iterable[BaseDataGenerator] = ()
    ) -> None:
        self._generators: dict[str, BaseDataGenerator] = {}
        self._classes: set[type[BaseDataGenerator]] = set()
        for module in load_plugins(plugins):
            self._register_all(module)
        for entry in entry_points(group=ENTRY_POINTS):
            self._register_entry(entry.name, entry.load())
        self._generators |= {generator.name: generator for generator in registered}

    def register(self, generator: BaseDataGenerator) -> None:
        """Make ``generator`` known by its name. Raises SettingsError for a name that is taken."""
        if self._generators.get(generator.name, generator) is not generator:
            raise SettingsError(
                f"two generators are called {generator.name!r}",
                "Give one of them another name: super().__init__(name=...)",
            )
        self._generators[generator.name] = generator

    def create(self, name: str, seed: int) -> DocumentSource:
        """Create the source of generator ``name`` under ``seed``. Raises UnknownName."""
        if name not in self._generators:
            raise UnknownName.among("generator", name, self._generators)
        return CustomSource(self._generators[name], seed)

    def names(self) -> tuple[str, ...]:
        """Return the names of all generators, sorted."""
        return tuple(sorted(self._generators))

    def describe(self, name: str) -> str:
        """Return what the generator makes, from its docstring."""
        return docstring_summary(self._generators[name])

    def _register_all(self, module: ModuleType) -> None:
        """Register the generators of a plugin, which may also have none, only strategies.

        They are the instances in the module and its classes, those that it imports included.
        A class that has an instance or a subclass in the module is not instantiated again.
        """
        members = [value for name, value in vars(module).items() if not name.startswith("_")]
        made = {id(value): value for value in members if isinstance(value, BaseDataGenerator)}
        used = [type(value) for value in made.values()]
        classes = {value for value in members if _is_generator_class(value)}
        used += [base for entry in classes for base in entry.__mro__[1:]]
        for instance in made.values():
            self.register(instance)
        for entry in sorted(classes - {*used}, key=lambda entry: entry.__name__):
            if entry not in self._classes:
                self._classes.add(entry)
                self.register(_made(entry, module))

    def _register_entry(self, name: str, loaded: object) -> None:
        generator = _made(loaded, None) if _is_generator_class(loaded) else loaded
        if not isinstance(generator, BaseDataGenerator):
            raise SettingsError(f"the entry point {name} of {ENTRY_POINTS} is not a generator")
        self.register(generator)


def _is_generator_class(value: object) -> TypeGuard[type[BaseDataGenerator]]:
    return (
        inspect.isclass(value)
        and issubclass(value, BaseDataGenerator)
        and not inspect.isabstract(value)
    )


def _made(entry: type[BaseDataGenerator], module: ModuleType | None) -> BaseDataGenerator:
    needed = [
        name
        for name, parameter in inspect.signature(entry).parameters.items()
        if parameter.default is inspect.Parameter.empty
        and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    ]
    where = (module.__file__ or module.__name__) if module is not None else "an entry point"
    if needed:
        raise SettingsError(
            f"the generator {entry.__name__} of {where} needs arguments: {', '.join(needed)}",
            f"Give them in its module: generator = {entry.__name__}(...)",
        )
    try:
        return entry()
    except Exception as error:
        raise SettingsError(
            f"the generator {entry.__name__} of {where} cannot be created: "
            f"{type(error).__name__}: {error}"
        ) from error
