"""Load a process' own plugins: modules or Python files with generators and strategies."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from dataworks_tasks.errors import SettingsError


def load_plugins(names: Iterable[str]) -> list[ModuleType]:
    """Import every named module or ``.py`` file, once, and return them.

    A strategy registers itself with ``MigrationStrategyFactory.register``; generators are found by
    their class.

    Names come from the process' own settings and never from a message or the ledger: anyone who can
    write to Redis must not choose what a worker imports. Raises SettingsError naming the plugin.
    """
    return [_load(name) for name in names]


def docstring_summary(plugin: object) -> str:
    """Return the first paragraph of a generator's or a strategy's docstring, on one line."""
    # inspect.getdoc would return the docstring of a base class, which says how to write a plugin.
    own = plugin.__dict__ if isinstance(plugin, type) else type(plugin).__dict__
    paragraph, _, _ = inspect.cleandoc(own["__doc__"] or "").partition("\n\n")
    return " ".join(paragraph.split())


def _load(name: str) -> ModuleType:
    try:
        if name.endswith(".py"):
            return _load_file(Path(name).resolve())
        return importlib.import_module(name)
    except Exception as error:
        raise SettingsError(
            f"the plugin {name!r} cannot be loaded: {type(error).__name__}: {error}",
            "FRAMEWORK_PLUGINS takes modules on the Python path, or paths of .py files",
        ) from error


def _load_file(path: Path) -> ModuleType:
    module_name = f"dataworks_plugin_{path.stem}_{abs(hash(str(path))):x}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
