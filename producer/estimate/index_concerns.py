"""Indexes that the target will not have, or that will behave differently there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import decode

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.migrate.index_definition import left_out, same_index, shown_differences
from dataworks_tasks.migrate.masking import create_mask
from dataworks_tasks.migrate.read_indexes import read_indexes
from dataworks_tasks.runs.choices import IndexPolicy
from dataworks_tasks.runs.namespace import series_of_buckets
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, Transform
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.index_rules import index_refusal
from producer.estimate.collection_concerns import CollectionPair
from producer.estimate.concern import Concern

_LISTED = "the run tries to build it, lists it at the end, and ends with exit code 4"
Index = Mapping[str, Any]


def index_concerns(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    job: MigrationJob,
    pair: NamespacePair,
    shard_key: str | None,
    *,
    drop: bool,
) -> Iterator[Concern]:
    """Yield the indexes of one collection that will not be at the target unchanged."""
    if job.indexes is IndexPolicy.NONE:
        return
    there = [] if drop else read_indexes(target, pair.target)
    has_documents = not drop and target.has_documents(pair.target)
    for index in read_indexes(source, pair.source):
        name = f"the index {index['name']} of {series_of_buckets(pair.source)}"
        refusal = index_refusal(
            index, target.capabilities, shard_key=shard_key, has_documents=has_documents
        )
        if refusal:
            remedy = f"Leave all indexes out with --indexes none; otherwise {_LISTED}"
            yield Concern(name, refusal, remedy)
        namesake = next((other for other in there if other["name"] == index["name"]), None)
        if namesake is not None and not any(same_index(index, other) for other in there):
            differing = shown_differences(index, namesake)
            yield Concern(
                name,
                f"the target has another index of that name ({differing})",
                f"Drop it at the target, or add --drop; otherwise {_LISTED}",
            )
        if unknown := left_out(index):
            yield Concern(
                f"{', '.join(unknown)} of {name}",
                "current servers do not have these options",
                "Nothing to do: the index is built without them",
            )
        yield from _changed_fields(index, name, job.transform)


def _changed_fields(index: Index, name: str, transform: Transform) -> Iterator[Concern]:
    fields = [field for field in index["key"] if not field.startswith(("_fts", "$**"))]
    fields += list(index.get("weights", ()))
    for old, new in transform.rename:
        if any(_within(field, old) for field in fields):
            yield Concern(
                name,
                f"it is on {old}, which is called {new} at the target",
                f"Build one on {new} at the target",
            )
    for dropped in transform.drop:
        if any(_within(field, dropped) for field in fields):
            why = f"it is on {dropped}, which is dropped"
            if index.get("unique") and not index.get("sparse"):
                why += ": a unique index accepts only one document without it"
            yield Concern(name, why, "Leave all indexes out with --indexes none, or accept it")
    for masked, mask in transform.mask:
        if not index.get("unique") or not any(_within(field, masked) for field in fields):
            continue
        if not create_mask(mask, transform.mask_seed).keeps_apart:
            yield Concern(
                name,
                f"it is unique, and {mask} makes only a few thousand different values for {masked}",
                f"--mask {masked}=faker:uuid4, or a mask that ends in email or user_name",
            )


def _within(field: str, path: str) -> bool:
    return field == path or field.startswith(f"{path}.")


def expiry_concerns(
    source: BaseDatabaseClient,
    target: BaseDatabaseClient,
    job: MigrationJob,
    found: CollectionPair,
    sample: EncodedBatch,
    *,
    drop: bool,
) -> Iterator[Concern]:
    """Yield a concern about documents that the target deletes because they are old."""
    pair, now = found.pair, datetime.now(UTC)
    rules = [("expireAfterSeconds of the collection", found.source_options, True)]
    rules += [
        (f"the index {index['name']}", index, job.indexes is IndexPolicy.BEFORE)
        for index in read_indexes(source, pair.source)
        if job.indexes is not IndexPolicy.NONE
    ]
    if found.target is not None and not drop:
        rules += [
            (f"the index {index['name']} at the target", index, True)
            for index in read_indexes(target, pair.target)
        ]
    for what, rule, during in rules:
        seconds = rule.get("expireAfterSeconds")
        if not isinstance(seconds, int | float):
            continue
        field = _expiring_field(rule)
        old = _older(sample, field, now - timedelta(seconds=min(float(seconds), 10**9)))
        if not old and not during:
            continue
        share = f"{old:,} of {len(sample):,} sampled documents are that old"
        when = "while the run copies" if during else "as soon as it is built"
        yield Concern(
            f"documents of {series_of_buckets(pair.source)} older than {seconds:,.0f} s",
            f"{what} deletes them {when}; {share}",
            "Add --indexes none while the source is still read; later: dataworks indexes RUN",
        )


def _expiring_field(rule: Index) -> str:
    if "key" in rule:
        return str(next(iter(rule["key"])))
    series = rule.get("timeseries")
    return f"control.max.{series['timeField']}" if series else "_id"


def _older(sample: EncodedBatch, path: str, moment: datetime) -> int:
    return sum(
        any(isinstance(value, datetime) and value < moment for value in _values(document, path))
        for document in (decode(raw, codec_options=TOLERANT) for raw in sample.documents())
    )


def _values(document: Any, path: str) -> Sequence[Any]:
    values: list[Any] = [document]
    for name in path.split("."):
        found = [value[name] for value in values if isinstance(value, dict) and name in value]
        values = [
            item for value in found for item in (value if isinstance(value, list) else [value])
        ]
    return values
