"""Dates after year 9999 that a person writes: a server accepts them, so a filter may use one."""

from __future__ import annotations

import bson

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.migrate.declared_change import by_transform
from dataworks_tasks.migrate.route import parsed_filter
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import MigrationJob, NamespacePair, Transform

FAR = 253_402_300_800_000
WRITTEN = f'{{"$date": {{"$numberLong": "{FAR}"}}}}'
PAIR = NamespacePair(source=Namespace("a", "b"), target=Namespace("c", "d"))


def test_a_filter_may_name_one() -> None:
    job = MigrationJob(namespaces=(PAIR,), filter=f'{{"at": {{"$lt": {WRITTEN}}}}}')
    found = parsed_filter(job)
    assert found is not None
    assert int(bson.decode(found, TOLERANT)["at"]["$lt"]) == FAR


def test_a_field_may_be_set_to_one() -> None:
    change = by_transform(Transform(set=(("at", WRITTEN),)))
    made = change(EncodedBatch.of([bson.encode({"_id": 1})])).batch.document(0)
    assert int(bson.decode(made, TOLERANT)["at"]) == FAR
