"""Migration strategies by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import ClassVar

from dataworks_tasks.errors import SettingsError, UnknownName, UsageError
from dataworks_tasks.migrate.base import (
    BaseMigrationStrategy,
    DateBasedStrategy,
    DefaultStrategy,
)
from dataworks_tasks.plugins import docstring_summary

ENTRY_POINTS = "dataworks.strategies"

Strategy = BaseMigrationStrategy | type[BaseMigrationStrategy]


class MigrationStrategyFactory:
    """Knows strategies by name: the built-in ones, plugins, and installed entry points.

    A run carries only the name. Its meaning depends on each process' own installation.
    """

    _known: ClassVar[dict[str, Strategy]] = {
        DefaultStrategy.name: DefaultStrategy,
        DateBasedStrategy.name: DateBasedStrategy,
    }
    _installed_are_read: ClassVar[bool] = False

    @classmethod
    def register(cls, strategy: Strategy) -> Strategy:
        """Register a strategy under its ``name``; also usable as a class decorator.

        Raises SettingsError when it has no name.
        """
        if not strategy.name or ":" in strategy.name:
            raise SettingsError(
                f"a migration strategy needs a name without ':', not {strategy.name!r}",
                "Set its class attribute `name`",
            )
        cls._known[strategy.name] = strategy
        return strategy

    @classmethod
    def create(cls, name: str) -> BaseMigrationStrategy:
        """Create the strategy called ``name``; the text after a colon goes to its constructor.

        Raises UnknownName with the nearest names, UsageError for an argument it does not take.
        """
        base, colon, argument = name.partition(":")
        if base not in cls._known:
            cls._read_installed()
        strategy = cls._known.get(base)
        if strategy is None:
            raise UnknownName.among("migration strategy", base, cls._known)
        if isinstance(strategy, BaseMigrationStrategy):
            return strategy
        if not colon:
            return strategy()
        if strategy.__init__ is object.__init__ or not argument:
            raise UsageError(
                f"the strategy {base!r} does not take a {argument or 'empty'!r} argument"
            )
        return strategy(argument)  # type: ignore[call-arg]

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return every known name, sorted."""
        cls._read_installed()
        return tuple(sorted(cls._known))

    @classmethod
    def describe(cls, name: str) -> str:
        """Return what the strategy does, from its docstring."""
        return docstring_summary(cls._known[name])

    @classmethod
    def _read_installed(cls) -> None:
        if cls._installed_are_read:
            return
        cls._installed_are_read = True
        for entry in entry_points(group=ENTRY_POINTS):
            cls._known.setdefault(entry.name, entry.load())
