"""The pipelines that compute a field from a source collection, and what their rows say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dataworks_tasks.generate.aggregators.aggregation import Aggregation


def single_stages(aggregation: Aggregation, known: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Stages that make one row, or none, for these values of the variables."""
    return [
        {"$match": aggregation.filled(known)},
        {"$project": _taken(aggregation, {"$literal": None})},
        *_grouped(aggregation),
    ]


def joined_stages(aggregation: Aggregation, values: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Stages that make a row for each of ``values`` that occurs; the value is its ``_id``.

    A source document with several of them in an array counts once for each, as in a query.
    """
    name = aggregation.joined_by or ""
    one_of = {"$in": list(values)}
    match = {"$match": {**aggregation.query, name: one_of}}
    first, *inner = name.split(".")
    if not inner:
        path = f"${name}"
        once = {"$cond": [{"$isArray": path}, {"$setUnion": [path, []]}, path]}
        project = {"$project": _taken(aggregation, once)}
        of_these = {"$match": {"by": one_of}}
        return [match, project, {"$unwind": "$by"}, of_these, *_grouped(aggregation)]
    paths = [".".join(("by", *inner[:length])) for length in range(len(inner) + 1)]
    return [
        match,
        {"$project": _taken(aggregation, f"${first}")},
        *({"$unwind": f"${path}"} for path in paths),
        {"$match": {paths[-1]: one_of}},
        {"$group": {"_id": {"id": "$_id", "by": f"${paths[-1]}"}, "of": {"$first": "$of"}}},
        {"$project": {"by": "$_id.by", "of": 1}},
        *_grouped(aggregation),
    ]


def _taken(aggregation: Aggregation, by: object) -> dict[str, Any]:
    """Return the projection of a source document: the joined value and the field."""
    return {"by": by, "of": f"${aggregation.field}"} if aggregation.field else {"by": by}


def _grouped(aggregation: Aggregation) -> list[Mapping[str, Any]]:
    """Stages that make a row for each value of ``by`` from the projected documents."""
    if aggregation.kind == "count":
        return [{"$group": {"_id": "$by", "result": {"$sum": 1}}}]
    if aggregation.kind == "bound":
        bounds = {"m": {"$min": "$of"}, "M": {"$max": "$of"}}
        return [{"$unwind": "$of"}, {"$group": {"_id": "$by", **bounds}}]
    return [
        {"$unwind": "$of"},
        {"$group": {"_id": {"by": "$by", "of": "$of"}}},
        {"$sort": {"_id.of": 1}},
        {"$group": {"_id": "$_id.by", "result": {"$push": "$_id.of"}}},
    ]


def result_of(aggregation: Aggregation, row: Mapping[str, Any]) -> Any:
    """Return the target's value from a result row; an empty one if nothing matched."""
    if aggregation.kind == "bound":
        return {"m": row.get("m"), "M": row.get("M")}
    return row.get("result", 0 if aggregation.kind == "count" else [])
