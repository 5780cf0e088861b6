"""A view's definition at the target, where the collections that it reads may have other names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.renaming import Renames, renamed

_NAMED_BY = {"$lookup": "from", "$graphLookup": "from", "$unionWith": "coll"}
"""Stages that read another collection, and the field that names it."""
_WITH_PIPELINES = frozenset({"$rankFusion", "$scoreFusion"})


@dataclass(frozen=True, slots=True)
class ViewDefinition:
    """``options`` as ``create`` takes them, ``reads`` the collections that they name at the source.

    ``elsewhere``: one of those goes to another database than the view, and no view can read it
    there; None: all of them stay together.
    """

    options: Mapping[str, Any]
    reads: frozenset[Namespace]
    elsewhere: Namespace | None


def view_definition(
    view: Namespace, options: Mapping[str, Any], renames: Renames
) -> ViewDefinition:
    """Return the definition of a view with the target's names of its collections."""
    renaming = _Renaming(view.database, renamed(view, renames).database, renames)
    changed = dict(options)
    if isinstance(options.get("viewOn"), str):
        changed["viewOn"] = renaming.name(options["viewOn"])
    if isinstance(options.get("pipeline"), Sequence):
        changed["pipeline"] = renaming.pipeline(options["pipeline"])
    return ViewDefinition(changed, frozenset(renaming.reads), renaming.elsewhere)


class _Renaming:
    def __init__(self, database: str, target: str, renames: Renames) -> None:
        self._database = database
        self._target = target
        self._renames = renames
        self.reads: set[Namespace] = set()
        self.elsewhere: Namespace | None = None

    def name(self, collection: str) -> str:
        source = Namespace(self._database, collection)
        target = renamed(source, self._renames)
        self.reads.add(source)
        if target.database != self._target:
            self.elsewhere = source
        return target.collection

    def pipeline(self, stages: Sequence[Any]) -> list[Any]:
        return [
            {name: self._stage(name, value) for name, value in stage.items()}
            if isinstance(stage, Mapping)
            else stage
            for stage in stages
        ]

    def _stage(self, name: str, value: Any) -> Any:
        if name == "$unionWith" and isinstance(value, str):
            return self.name(value)
        if not isinstance(value, Mapping):
            return value
        if name in _NAMED_BY:
            return self._reading(value, _NAMED_BY[name])
        if name == "$facet":
            return self._pipelines(value)
        if name in _WITH_PIPELINES and isinstance(value.get("input"), Mapping):
            given = value["input"]
            pipelines = self._pipelines(given.get("pipelines", {}))
            return {**value, "input": {**given, "pipelines": pipelines}}
        return value

    def _reading(self, value: Mapping[str, Any], field: str) -> dict[str, Any]:
        changed = dict(value)
        if isinstance(value.get(field), str):
            changed[field] = self.name(value[field])
        if isinstance(value.get("pipeline"), Sequence):
            changed["pipeline"] = self.pipeline(value["pipeline"])
        return changed

    def _pipelines(self, named: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self.pipeline(stages) if isinstance(stages, Sequence) else stages
            for name, stages in named.items()
        }
