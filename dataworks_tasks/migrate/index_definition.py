"""Index definitions: which parts are sent to another server, and when two are the same index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KNOWN = frozenset(
    {
        "2dsphereIndexVersion",
        "bits",
        "bucketSize",
        "coarsestIndexedLevel",
        "collation",
        "default_language",
        "expireAfterSeconds",
        "finestIndexedLevel",
        "hidden",
        "key",
        "language_override",
        "max",
        "min",
        "name",
        "partialFilterExpression",
        "prepareUnique",
        "sparse",
        "storageEngine",
        "textIndexVersion",
        "unique",
        "weights",
        "wildcardProjection",
    }
)
"""Options that current servers accept, without those that the server sets itself.

See mongo/src/mongo/db/index/index_descriptor.h. Collections of old servers have others, such as
``safe``, ``w``, ``dropDups`` or a misspelled ``backgroud``, which current servers refuse.
"""
_SWITCHES = frozenset({"hidden", "prepareUnique", "sparse", "unique"})
_NOT_COMPARED = frozenset({"name", "2dsphereIndexVersion", "textIndexVersion"})
_SIMPLE = {"locale": "simple"}
Index = Mapping[str, Any]


def index_to_create(index: Index, *, target_has_collation: bool) -> dict[str, Any]:
    """Return the index as ``createIndexes`` accepts it at the target.

    An index without a collation uses simple comparison. On a collection with a default collation
    (``target_has_collation``) it has to state that, or it would inherit the collation.
    """
    made = {name: value for name, value in index.items() if name in _KNOWN}
    made["key"] = {name: _direction(kind) for name, kind in index["key"].items()}
    made |= {name: bool(made[name]) for name in _SWITCHES & made.keys()}
    if target_has_collation and "collation" not in made:
        made["collation"] = _SIMPLE
    return made


def left_out(index: Index) -> tuple[str, ...]:
    """Return the index options that no current server accepts."""
    made_by_the_server = {"v", "ns", "background"}
    return tuple(sorted(index.keys() - _KNOWN - made_by_the_server))


def same_index(one: Index, other: Index) -> bool:
    """Return whether two definitions make the same index, whatever its name."""
    return _compared(one) == _compared(other)


def differences(one: Index, other: Index) -> tuple[str, ...]:
    """Return the options in which two definitions differ."""
    first, second = _compared(one), _compared(other)
    names = first.keys() | second.keys()
    return tuple(sorted(name for name in names if first.get(name) != second.get(name)))


def shown_differences(one: Index, other: Index) -> str:
    """Return a clause that names them, such as "sparse, unique differ"."""
    names = differences(one, other)
    return f"{', '.join(names)} {'differs' if len(names) == 1 else 'differ'}"


def _direction(kind: Any) -> Any:
    """Return the index kind as current servers accept it; old ones took any value as ascending."""
    return 1 if isinstance(kind, bool) or kind in (None, "", 0) else kind


def _compared(index: Index) -> dict[str, Any]:
    made = index_to_create(index, target_has_collation=True)
    compared = {
        name: value
        for name, value in made.items()
        if name not in _NOT_COMPARED and not (name in _SWITCHES and not value)
    }
    # The order of keys matters to an index; the order of options does not.
    compared["key"] = list(made["key"].items())
    compared["collation"] = {
        name: value for name, value in made["collation"].items() if name != "version"
    }
    return compared
