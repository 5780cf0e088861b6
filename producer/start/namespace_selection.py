"""Which collections a migration copies, and where each of them goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dataworks_tasks.errors import UnknownName, UsageError, nearest_or_all
from dataworks_tasks.migrate.listed_collections import (
    ListedCollection,
    listed_collections,
    matches_any,
)
from dataworks_tasks.migrate.view_definition import view_definition
from dataworks_tasks.runs.namespace import BUCKETS, Namespace
from dataworks_tasks.runs.renaming import Renames, pattern_of, renamed
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient


class View(NamedTuple):
    """A view of the source, with the name and the definition that it would have at the target.

    ``problem``: why it cannot be defined there.
    """

    source: Namespace
    target: Namespace
    options: Mapping[str, Any]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class NamespaceSelection:
    """``pairs`` are copied; ``views`` and ``system`` collections matched too, and are not."""

    pairs: tuple[NamespacePair, ...]
    views: tuple[View, ...] = ()
    system: tuple[Namespace, ...] = ()


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """The requested collections. Patterns are namespaces in which ``*`` matches anything.

    ``renames`` map one pattern to another, star by star; the first one that matches is used.
    """

    include: Sequence[str]
    exclude: Sequence[str] = ()
    renames: Sequence[tuple[str, str]] = ()
    allow_unmatched: bool = False
    """Whether an ``exclude`` or a rename may match nothing."""


def select_namespaces(source: BaseDatabaseClient, request: SelectionRequest) -> NamespaceSelection:
    """Return the matching collections, in order of their names.

    Raises UnknownName for a collection that does not exist, and UsageError for a pattern that
    matches nothing or for two collections with one target.
    """
    found = {item.namespace: item for item in listed_collections(source, request.include)}
    chosen = [
        item
        for namespace, item in sorted(found.items())
        if matches_any(request.include, namespace) and not matches_any(request.exclude, namespace)
    ]
    for pattern in request.include:
        _check_matches(pattern, found)
    if not request.allow_unmatched:
        _check_exclude(request.exclude, found)
        if chosen:
            _check_renames(request.renames, chosen)
    collections = [item for item in chosen if item.type != "view" and not item.is_system]
    pairs = tuple(_pair(item, request.renames) for item in collections)
    if not pairs:
        raise UsageError(
            "no collection is left to copy",
            ". ".join(_why_not(chosen)) or "Check --include and --exclude",
        )
    _check_targets(pairs)
    return NamespaceSelection(
        pairs,
        tuple(_view(item, request.renames) for item in chosen if item.type == "view"),
        tuple(item.namespace for item in chosen if item.type != "view" and item.is_system),
    )


def _why_not(chosen: Sequence[ListedCollection]) -> Iterator[str]:
    """Yield why nothing of what was chosen is copied."""
    views = [str(item.namespace) for item in chosen if item.type == "view"]
    if views:
        yield f"Views have no documents of their own: {', '.join(views)}"
    system = [str(item.namespace) for item in chosen if item.type != "view"]
    if system:
        yield f"Collections of the server are not copied: {', '.join(system)}"


def _check_matches(pattern: str, found: Mapping[Namespace, ListedCollection]) -> None:
    names = [str(namespace) for namespace in found]
    if any(pattern_of(pattern).fullmatch(name) for name in names):
        return
    if "*" not in pattern:
        raise UnknownName.among("collection", pattern, names)
    raise UsageError(
        f"no collection of the source matches {pattern!r}",
        "List them with: dataworks migrate --include '*.*' --dry-run",
    )


def _check_exclude(patterns: Sequence[str], found: Mapping[Namespace, ListedCollection]) -> None:
    for pattern in patterns:
        if not any(matches_any([pattern], namespace) for namespace in found):
            raise UsageError(f"--exclude {pattern} matches no collection", _hint(pattern, found))


def _check_renames(renames: Sequence[tuple[str, str]], chosen: Sequence[ListedCollection]) -> None:
    names = [item.namespace for item in chosen]
    used = {
        next((index for index, (old, _) in enumerate(renames) if matches_any([old], name)), None)
        for name in names
    }
    for index, (old, new) in enumerate(renames):
        if index in used:
            continue
        if any(matches_any([old], name) for name in names):
            raise UsageError(
                f"--map {old}={new} is never used: an earlier one matches the same collections",
                "Put the narrower --map first",
            )
        raise UsageError(
            f"--map {old}={new} matches no collection that is copied", _hint(old, names)
        )


def _hint(pattern: str, names: Iterable[Namespace]) -> str:
    near = nearest_or_all(pattern, map(str, names))
    stop = "" if near.endswith("?") else "."
    return f"{near}{stop} Correct it, or add --allow-unmatched if this is intended"


def _pair(item: ListedCollection, renames: Sequence[tuple[str, str]]) -> NamespacePair:
    target = renamed(item.namespace, renames)
    if target.collection.startswith(BUCKETS):
        raise UsageError(f"{target} belongs to the server", "Choose a target of another name")
    if item.type == "timeseries":
        return NamespacePair(source=_buckets(item.namespace), target=_buckets(target))
    return NamespacePair(source=item.namespace, target=target)


def _view(item: ListedCollection, renames: Renames) -> View:
    definition = view_definition(item.namespace, item.options, renames)
    problem = None
    if definition.elsewhere is not None:
        problem = f"it reads {definition.elsewhere}, which goes to another database"
    return View(item.namespace, renamed(item.namespace, renames), definition.options, problem)


def _buckets(namespace: Namespace) -> Namespace:
    return Namespace(namespace.database, BUCKETS + namespace.collection)


def _check_targets(pairs: Sequence[NamespacePair]) -> None:
    twice = [name for name, count in Counter(pair.target for pair in pairs).items() if count > 1]
    if twice:
        sources = " and ".join(str(pair.source) for pair in pairs if pair.target == twice[0])
        raise UsageError(f"{sources} would both go to {twice[0]}", "Change --map or --include")
