"""Fields that are computed from other collections: what a template asks for.

mgodatagen's countAggregator, valueAggregator and boundAggregator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.generate.templates.template import CollectionTemplate
from dataworks_tasks.runs.namespace import Namespace

_VARIABLE = "$$"


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Field ``target`` of the documents of ``namespace``, computed from those of ``source``.

    ``kind`` is ``count`` (how many match), ``value`` (the different values of ``field`` in them,
    sorted) or ``bound`` (the smallest, ``m``, and the largest, ``M``). A text ``$$name`` in
    ``query`` is the value of field ``name`` of the document that is updated; a document without it
    is not changed.
    """

    namespace: Namespace
    target: str
    kind: str
    source: Namespace
    query: Mapping[str, Any]
    field: str = ""

    @property
    def variables(self) -> tuple[str, ...]:
        """The fields that ``query`` refers to."""
        return tuple(dict.fromkeys(_variables_in(self.query)))

    def filled(self, known: Mapping[str, Any]) -> Any:
        """``query`` with the variables' values."""
        return _filled(self.query, known)

    @property
    def joined_by(self) -> str | None:
        """The source's field that equals the only variable, so that many values go in one query."""
        if len(list(_variables_in(self.query))) != 1:
            return None
        names = [name for name, value in self.query.items() if _is_variable(value)]
        by_position = any(part.isdigit() for name in names for part in name.split("."))
        return names[0] if names and not by_position else None


def aggregations_of(
    collection: CollectionTemplate,
    namespace: Namespace,
    placed: Sequence[tuple[CollectionTemplate, Namespace]],
) -> tuple[Aggregation, ...]:
    """Return the aggregators of ``collection``, which the run writes to ``namespace``.

    Aggregators name collections as the template does; ``placed`` maps each to its namespace in the
    run.
    """
    return tuple(
        Aggregation(
            namespace,
            request["target"],
            request["kind"],
            _placed(request["database"], request["collection"], namespace, placed),
            request["query"],
            request.get("field", ""),
        )
        for request in collection.aggregators
    )


def _placed(
    database: str,
    collection: str,
    own: Namespace,
    placed: Sequence[tuple[CollectionTemplate, Namespace]],
) -> Namespace:
    for template, namespace in placed:
        if template.collection == collection and database in ("", template.database):
            return namespace
    return Namespace(database or own.database, collection)


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_VARIABLE)


def _variables_in(value: object) -> Iterator[str]:
    """Yield the name of every variable in a query, as often as it occurs."""
    if isinstance(value, str) and _is_variable(value):
        yield value.removeprefix(_VARIABLE)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _variables_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _variables_in(inner)


def _filled(query: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(query, str) and _is_variable(query):
        return known[query.removeprefix(_VARIABLE)]
    if isinstance(query, Mapping):
        return {name: _filled(value, known) for name, value in query.items()}
    return [_filled(value, known) for value in query] if isinstance(query, list) else query
