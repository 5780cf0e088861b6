"""Compare a migration's target with its source: indexes, options and views."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any

from bson.json_util import RELAXED_JSON_OPTIONS, dumps

from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.migrate.collection_options import read_options
from dataworks_tasks.migrate.comparable import comparable
from dataworks_tasks.migrate.index_definition import differences, same_index
from dataworks_tasks.migrate.read_indexes import read_indexes
from dataworks_tasks.migrate.view_definition import view_definition
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.choices import IndexPolicy
from dataworks_tasks.runs.namespace import BUCKETS, Namespace, series_of_buckets
from dataworks_tasks.runs.renaming import renamed
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair
from dataworks_tasks.store.client import BaseDatabaseClient

_NOT_OF_THE_COLLECTION = frozenset({"uuid", "temp", "autoIndexId"})
_OF_THE_SERVER = frozenset({"storageEngine"})
"""Options that say how one server keeps the collection. Another may have other engines."""
_LONGEST_SHOWN, _SHOWN_BEFORE = 80, 20
_ABSENT = object()
_DEFAULTS = {"validationLevel": "strict", "validationAction": "error", "validator": {}}
"""Values that mean the same as a missing option."""
_OF_VALIDATION = frozenset(_DEFAULTS)


def compare_options(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    job: MigrationJob,
    *,
    validators: bool = True,
) -> list[RunNote]:
    """Return a note for each option that differs at the target, and a count of equal ones.

    ``validators``: whether they are compared too.
    """
    notes: list[RunNote] = []
    equal = 0
    for pair in job.namespaces:
        found = list(_option_notes(source, target, pair, validators=validators))
        notes += found
        equal += not found
    text = f"equal in {equal:,} of {counted(len(job.namespaces), 'collection')}"
    return [*notes, RunNote(NoteTopic.OPTIONS, "", text, attention=False)]


def compare_indexes(
    source: BaseDatabaseClient, target: BaseDatabaseClient, job: MigrationJob, *, exclusive: bool
) -> list[RunNote]:
    """Return a note for each index that is missing or differs, and a count of equal ones.

    ``exclusive``: an index that the source does not have also counts as a difference.
    """
    notes: list[RunNote] = []
    equal = wanted = 0
    for pair in job.namespaces:
        here, there = (
            read_indexes(source, pair.source),
            read_indexes(target, pair.target),
        )
        missing = [index for index in here if not any(same_index(index, one) for one in there)]
        extra = [one for one in there if not any(same_index(index, one) for index in here)]
        notes += _index_notes(pair.target, missing, extra if exclusive else [], there)
        wanted += len(here)
        equal += len(here) - len(missing)
    if job.indexes is IndexPolicy.NONE:
        text = f"{equal:,} of {wanted:,} equal; differences do not count, as the run built none"
        return [RunNote(NoteTopic.INDEXES, "", text, attention=False)]
    return [*notes, _sum(NoteTopic.INDEXES, equal, wanted)]


def compare_views(
    source: BaseDatabaseClient, target: BaseDatabaseClient, job: MigrationJob
) -> list[RunNote]:
    """Return a note for each view that is missing or differs at the target, and a count."""
    if not job.views:
        return []
    notes = [note for pair in job.views for note in _view_notes(source, target, job, pair)]
    equal = len(job.views) - len({note.collection for note in notes})
    return [*notes, _sum(NoteTopic.VIEWS, equal, len(job.views))]


def _sum(topic: NoteTopic, equal: int, of: int) -> RunNote:
    return RunNote(topic, "", f"{equal:,} of {of:,} equal", attention=False)


def _option_notes(
    source: BaseDatabaseClient, target: BaseDatabaseClient, pair: NamespacePair, *, validators: bool
) -> Iterator[RunNote]:
    here = read_options(source, series_of_buckets(pair.source)) or {}
    name = str(series_of_buckets(pair.target))
    found = read_options(target, series_of_buckets(pair.target))
    if found is None:
        yield RunNote(NoteTopic.OPTIONS, name, "the collection is missing at the target")
        return
    left_out = _NOT_OF_THE_COLLECTION | (frozenset() if validators else _OF_VALIDATION)
    for option in sorted((here.keys() | found.keys()) - left_out):
        default = _DEFAULTS.get(option, _ABSENT)
        wanted, there = here.get(option, default), found.get(option, default)
        if option in _OF_THE_SERVER:
            if wanted is not _ABSENT:
                text = f"{option} is not copied: it belongs to the source's server"
                yield RunNote(NoteTopic.LEFT_OUT, name, text)
        elif not _equal(option, wanted, there):
            one, other = _values(there, wanted)
            text = f"{option} is {one} at the target and {other} at the source"
            yield RunNote(NoteTopic.OPTIONS, name, text)


def _equal(option: str, wanted: Any, there: Any) -> bool:
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        if option == "timeseries":  # a newer server adds what an older one does not know
            compared = wanted.keys() | {"metaField"}
            return all(there.get(name) == wanted.get(name) for name in compared)
        left_out = {"collation": "version", "clusteredIndex": "v"}.get(option)
        one, other = (
            {name: value for name, value in item.items() if name != left_out}
            for item in (wanted, there)
        )
        if option == "validator":
            return bool(comparable(one) == comparable(other))
        return one == other
    return bool(wanted == there)


def _index_notes(
    collection: Namespace,
    missing: list[dict[str, Any]],
    extra: list[dict[str, Any]],
    there: list[dict[str, Any]],
) -> Iterator[RunNote]:
    by_name = {str(index["name"]): index for index in there}
    named = set()
    for index in missing:
        name = str(index["name"])
        namesake = by_name.get(name)
        if namesake is None:
            text = f"the index {name} on {_keys(index)} is missing at the target"
        else:
            named.add(name)
            text = f"the index {name} differs in {', '.join(differences(index, namesake))}"
        yield RunNote(NoteTopic.INDEXES, str(collection), text)
    for index in extra:
        if str(index["name"]) not in named:
            text = f"the index {index['name']} on {_keys(index)} does not exist at the source"
            yield RunNote(NoteTopic.INDEXES, str(collection), text)


def _view_notes(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    job: MigrationJob,
    pair: NamespacePair,
) -> Iterator[RunNote]:
    name = str(pair.target)
    there = read_options(target, pair.target)
    here = read_options(source, pair.source)
    if there is None:
        yield RunNote(NoteTopic.VIEWS, name, "the view is missing at the target")
    elif here is None:
        yield RunNote(NoteTopic.VIEWS, name, "the view no longer exists at the source")
    else:
        wanted = view_definition(pair.source, here, job.renames).options
        if comparable(wanted) != comparable(there):
            one, other = _values(there, wanted)
            text = f"the view is {one} instead of {other}"
            yield RunNote(NoteTopic.VIEWS, name, text)
        copied = {one.source for one in (*job.namespaces, *job.views)}
        for read in sorted(view_definition(pair.source, here, job.renames).reads - copied):
            is_series = Namespace(read.database, BUCKETS + read.collection) in copied
            if not is_series and _exists(source, target, job, read):
                text = f"the view reads {read}, which the run does not copy"
                yield RunNote(NoteTopic.VIEWS, name, text)


def _exists(
    source: BaseDatabaseClient, target: BaseDatabaseClient, job: MigrationJob, read: Namespace
) -> bool:
    """Return whether source or target has a collection that a view reads."""
    there = renamed(read, job.renames)
    return read_options(source, read) is not None or read_options(target, there) is not None


def _keys(index: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in index["key"].items())


def _values(one: Any, other: Any) -> tuple[str, str]:
    """Return two different values, cut so that the difference can be seen."""
    texts = _value(one), _value(other)
    equal = takewhile(lambda letters: letters[0] == letters[1], zip(*texts, strict=False))
    start = sum(1 for _ in equal) - _SHOWN_BEFORE
    if start + 2 * _SHOWN_BEFORE > _LONGEST_SHOWN:
        texts = f"…{texts[0][start:]}", f"…{texts[1][start:]}"
    return _cut(texts[0]), _cut(texts[1])


def _value(value: Any) -> str:
    if value is _ABSENT or value == {}:
        return "not set"
    return dumps(value, json_options=RELAXED_JSON_OPTIONS)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"
