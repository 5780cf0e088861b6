"""Names of collections that the target or its driver refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from dataworks_tasks.errors import RightMissing, TerminalError, UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient

_LONGEST = 255
"""Bytes of database and collection together, since MongoDB 4.4."""
_LONGEST_DATABASE = 63
_EMPTY_PART = "the driver refuses names with empty parts"
_NOT_IN_DATABASES = frozenset('/\\. "$*<>:|?')
"""https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions"""


class NameProblem(NamedTuple):
    """A name that is refused, why, and what to do. ``readable``: the source can be read."""

    pair: NamespacePair
    namespace: Namespace
    reason: str
    remedy: str
    readable: bool = True


def check_names(target: BaseDatabaseClient, pairs: Sequence[NamespacePair]) -> None:
    """Raise UsageError for the first name that is refused."""
    for problem in name_problems(target, pairs):
        raise UsageError(f"{problem.namespace} cannot be copied: {problem.reason}", problem.remedy)


def check_generated_names(target: BaseDatabaseClient, namespaces: Sequence[Namespace]) -> None:
    """Raise UsageError for the first name of a generation's target that is refused."""
    databases = _database_names(target)
    for namespace in namespaces:
        other = databases.get(namespace.database.casefold(), namespace.database)
        reasons = [
            *([_EMPTY_PART] if _has_empty_part(namespace) else []),
            *_refused_anywhere(namespace),
            *([_other_case(other)] if other != namespace.database else []),
        ]
        if reasons:
            raise UsageError(
                f"{namespace} cannot be written: {reasons[0]}",
                "Choose another name with --database or --collection, or in the template",
            )


def name_problems(
    target: BaseDatabaseClient, pairs: Sequence[NamespacePair]
) -> Iterator[NameProblem]:
    """Yield every name of the pairs that is refused."""
    databases = _database_names(target)
    sources = {pair.source for pair in pairs}
    for pair in pairs:
        if _has_empty_part(pair.source):
            remedy = f"Leave it out with --exclude '{pair.source}', or rename it at the source"
            yield NameProblem(pair, pair.source, _EMPTY_PART, remedy, readable=False)
        elif _has_empty_part(pair.target):
            yield NameProblem(pair, pair.target, _EMPTY_PART, _another(pair))
        yield from _target_problems(pair, databases, sources)


def _has_empty_part(namespace: Namespace) -> bool:
    name = namespace.collection
    return ".." in name or name.startswith(".") or name.endswith(".")


def _another(pair: NamespacePair) -> str:
    return f"Give it another one: --map '{pair.source}=...'"


def _target_problems(
    pair: NamespacePair, databases: Mapping[str, str], sources: Set[Namespace]
) -> Iterator[NameProblem]:
    target = pair.target
    for reason in _refused_anywhere(target):
        yield NameProblem(pair, target, reason, _another(pair))
    other = databases.get(target.database.casefold(), target.database)
    if other != target.database:
        reason = _other_case(other)
        there = Namespace(other, target.collection)
        # Source and target may be one server: nothing is copied onto a source.
        taken = there in sources or _has_empty_part(there)
        remedy = _another(pair) if taken else f"Use that one: --map '{pair.source}={there}'"
        yield NameProblem(pair, target, reason, remedy)


def _refused_anywhere(namespace: Namespace) -> Iterator[str]:
    if len(str(namespace).encode()) > _LONGEST:
        yield f"a name has at most {_LONGEST} bytes"
    elif len(namespace.database.encode()) > _LONGEST_DATABASE:
        yield f"the name of a database has at most {_LONGEST_DATABASE} bytes"
    if "$" in namespace.collection or set(namespace.database) & _NOT_IN_DATABASES:
        yield "its name has a character that the server refuses"


def _other_case(database: str) -> str:
    return f"the target has the database {database}, which differs only in case"


def _database_names(target: BaseDatabaseClient) -> dict[str, str]:
    """Return the target's databases by their lower-case names."""
    try:
        listed = target.command("admin", {"listDatabases": 1, "nameOnly": True})
    except (TerminalError, RightMissing):  # a user may lack the right to list them
        return {}
    names = [item["name"] for item in listed["databases"]]
    return {name.casefold(): name for name in names}
