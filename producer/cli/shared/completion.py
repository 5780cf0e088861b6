"""Shell completion of arguments: names that are known without any server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    import click

_PACKAGE = Path(__file__).parents[3] / "dataworks_tasks"
_RUNS = Path(".dataworks/runs")


def complete_runs(
    _context: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the runs that commands in this folder have started, newest first, and their names."""
    paths = sorted(_RUNS.glob("*.json"), reverse=True)
    names = [path.stem for path in sorted(paths, key=Path.is_symlink)]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_templates(
    _context: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the built-in templates and the JSON files of this folder, else let the shell look."""
    found = complete_builtin_templates(_context, _param, incomplete)
    names = sorted(path.name for path in Path.cwd().glob("*.json"))
    found += [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def complete_builtin_templates(
    _context: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the built-in templates."""
    folder = _PACKAGE / "generate" / "templates" / "builtin"
    names = sorted(path.stem for path in folder.glob("*.json"))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_profiles(
    _context: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the profiles of the package and of this folder."""
    folders = (_PACKAGE.parent / "profiles", _PACKAGE / "profiles", Path("profiles"))
    names = {path.stem for folder in folders for path in folder.glob("*.env")}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]
