"""Refuse a filter that cannot be combined with slices, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bson import decode

from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.route import parsed_filter
from dataworks_tasks.runs.spec import MigrationJob

_INSTEAD = {
    "$near": "$geoWithin",
    "$nearSphere": "$geoWithin",
    "$text": "$regex",
    "$where": "$expr",
}
"""What servers refuse beside a range of keys in key order, or refuse to count."""
_BY_CHANCE = frozenset({"$rand", "$sampleRate"})


def check_filter(job: MigrationJob) -> None:
    """Raise UsageError for a filter that repeats a name, matches by chance, or prevents slices."""
    query = parsed_filter(job)
    if job.filter is None or query is None:
        return
    json.loads(job.filter, object_pairs_hook=_refuse_repeated)
    for name in _operators(decode(query, codec_options=TOLERANT)):
        if name in _INSTEAD:
            raise UsageError(
                f"--filter uses {name}, which a server refuses where a collection is read in "
                "slices of its keys and counted",
                f"Use {_INSTEAD[name]} instead",
            )
        if name in _BY_CHANCE:
            raise UsageError(
                f"--filter uses {name}, which matches other documents each time, and a slice may "
                "be read twice",
                "Filter by a field of the documents",
            )


def _refuse_repeated(fields: list[tuple[str, object]]) -> None:
    names = [name for name, _ in fields]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"--filter has {name!r} twice in one place, and only the last would count",
                'Put the conditions in a list: {"$and": [{...}, {...}]}',
            )


def _operators(query: object) -> Iterator[str]:
    if isinstance(query, list):
        for item in query:
            yield from _operators(item)
    elif isinstance(query, dict):
        for name, value in query.items():
            yield name
            if name != "$literal":
                yield from _operators(value)
