"""Slices cover every key exactly once, whatever its type."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes, find_element
from dataworks_tasks.runs.spec import NamespacePair
from dataworks_tasks.scan.read_slice import SliceSource, read_slice
from dataworks_tasks.scan.slice import OBJECT_ID, Slice, SliceKind
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.slicing.split_migration import plan_slices
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.verify.comparison import id_bytes
from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig
from tests.integration.migrate.conftest import Migration
from tests.integration.migrate.corpus import IDS

IDS_IN_USE = [Element(type_, b"_id", value) for type_, value in IDS.values()]


def read(migration: Migration, collection: str, slices: list[Slice]) -> Counter[bytes]:
    source = SliceSource(migration.source, migration.namespace(collection), batch_size=3)
    return Counter(
        id_bytes(document)
        for slice_ in slices
        for batch in read_slice(source, slice_)
        for document in batch.documents()
    )


@given(
    present=st.sets(st.sampled_from(range(len(IDS_IN_USE)))),
    bounds=st.sets(st.sampled_from(range(len(IDS_IN_USE))), max_size=8),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_document_is_in_exactly_one_slice(
    migration: Migration, present: set[int], bounds: set[int]
) -> None:
    collection = migration.source.collection(migration.namespace("any"))
    collection.drop()
    migration.insert_raw(
        "any", [assemble([element_bytes(IDS_IN_USE[position])]) for position in sorted(present)]
    )
    ordered = in_server_order(migration, bounds)
    edges = [None, *ordered, None]
    slices = [
        Slice.from_bytes(Slice(0, lower, upper).to_bytes()) for lower, upper in pairwise(edges)
    ]
    assert read(migration, "any", slices) == Counter(
        element_bytes(IDS_IN_USE[position]) for position in present
    )


def in_server_order(migration: Migration, bounds: set[int]) -> list[Element]:
    migration.source.collection(migration.namespace("bounds")).drop()
    migration.insert_raw(
        "bounds", [assemble([element_bytes(IDS_IN_USE[position])]) for position in bounds]
    )
    ids = [find_element(document, b"_id") for document in migration.documents("bounds")]
    return [id_._replace(name=b"") for id_ in ids if id_ is not None]


@pytest.mark.parametrize("partitioner", ["walk", "sample", "objectid-time"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_partitioners_cover_every_type(migration: Migration, partitioner: str, size: int) -> None:
    migration.insert_raw("source", [assemble([element_bytes(id_)]) for id_ in IDS_IN_USE])
    job = migration.job(partitioner=partitioner)
    slices = [
        Slice.from_bytes(data)
        for group in plan_slices(migration.source, job, size)
        for data in group.slices
    ]
    assert read(migration, "source", slices) == Counter(map(element_bytes, IDS_IN_USE))


def test_an_account_with_request_units_is_cut_by_object_id_time(
    migration: Migration, mongodb_url: str
) -> None:
    ids = [(n << 64).to_bytes(12, "big") for n in range(1_700_000_000, 1_700_002_000)]
    wanted = [*IDS_IN_USE, *(Element(OBJECT_ID, b"_id", value) for value in ids)]
    migration.insert_raw("source", [assemble([element_bytes(id_)]) for id_ in wanted])
    with CosmosSimulator(SimulatorConfig(mongodb_url)) as account:
        config = DatabaseConfig(connection_string=SecretStr(account.url))
        with create_database_client(config) as client:
            client.warm_up()
            planned = plan_slices(client, migration.job(), 100)
            slices = [Slice.from_bytes(data) for group in planned for data in group.slices]
            migration.source = client
            assert Counter(slice_.kind for slice_ in slices)[SliceKind.ONE_TYPE] > 10
            assert read(migration, "source", slices) == Counter(map(element_bytes, wanted))


def test_walk_makes_slices_of_the_exact_size(migration: Migration) -> None:
    migration.source.collection(migration.namespace("source")).insert_many(
        {"_id": number} for number in range(5_500)
    )
    for size, expected in ((1000, [1000] * 5 + [500]), (800, [800] * 6 + [700])):
        groups = list(plan_slices(migration.source, migration.job(), size))
        slices = [Slice.from_bytes(data) for group in groups for data in group.slices]
        counts = [read(migration, "source", [slice_]).total() for slice_ in slices]
        assert counts == expected
        assert sum(group.documents for group in groups) == 5_500
        assert len(groups[0].slices) == 1


def test_an_empty_collection_has_one_slice_for_what_arrives(migration: Migration) -> None:
    (group,) = plan_slices(migration.source, migration.job(), 100)
    (slice_,) = map(Slice.from_bytes, group.slices)
    migration.insert_raw("source", [assemble([element_bytes(id_)]) for id_ in IDS_IN_USE])
    assert read(migration, "source", [slice_]).total() == len(IDS_IN_USE)


def several(migration: Migration, sizes: list[int]) -> tuple[NamespacePair, ...]:
    pairs = []
    for number, size in enumerate(sizes):
        name = f"c{number}"
        if size:
            migration.source.collection(migration.namespace(name)).insert_many(
                {"_id": position} for position in range(size)
            )
        pairs.append(
            NamespacePair(
                source=migration.namespace(name), target=migration.namespace(f"{name}_copy")
            )
        )
    return tuple(pairs)


def test_planning_continues_after_the_last_slice(migration: Migration) -> None:
    sizes = [40, 0, 7, 100, 3, 21, 0, 1, 60, 9, 33]
    job = migration.job(namespaces=several(migration, sizes))
    whole = [data for group in plan_slices(migration.source, job, 10) for data in group.slices]
    groups = sum(1 for _ in plan_slices(migration.source, job, 10))
    for stop_after in range(1, groups + 1):
        planned: list[bytes] = []
        for number, group in enumerate(plan_slices(migration.source, job, 10), start=1):
            planned += group.slices
            if number == stop_after:
                break
        for group in plan_slices(migration.source, job, 10, planned[-1]):
            planned += group.slices
        assert sorted(map(bare, planned)) == sorted(map(bare, whole))


def bare(data: bytes) -> tuple[int, bytes, bytes]:
    slice_ = Slice.from_bytes(data)
    lower, upper = (
        b"" if side is None else element_bytes(side) for side in (slice_.lower, slice_.upper)
    )
    return slice_.pair, lower, upper


def test_collections_take_turns(migration: Migration) -> None:
    job = migration.job(namespaces=several(migration, [500, 500, 20]))
    slices = [
        Slice.from_bytes(data)
        for group in plan_slices(migration.source, job, 10)
        for data in group.slices
    ]
    assert {slice_.pair for slice_ in slices[:3]} == {0, 1, 2}
    assert {slice_.pair for slice_ in slices[10:20]} == {0, 1}


def test_a_slice_between_object_ids_is_small() -> None:
    key = Element(0x07, b"", b"\x01" * 12)
    assert len(Slice(3, key, key).to_bytes()) == 42


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_field_with_many_equal_and_missing_values(migration: Migration, size: int) -> None:
    collection = migration.source.collection(migration.namespace("source"))
    collection.insert_many(
        [{"_id": number, "day": number // 40} for number in range(100)]
        + [{"_id": 100 + number} for number in range(5)]
        + [{"_id": 200, "day": None}, {"_id": 201, "day": "text"}]
    )
    collection.create_index("day")
    job = migration.job(strategy="date-based:day")
    source = SliceSource(migration.source, migration.namespace("source"), field=b"day")
    seen = Counter(
        RawBSONDocument(document)["_id"]
        for group in plan_slices(migration.source, job, size)
        for data in group.slices
        for batch in read_slice(source, Slice.from_bytes(data))
        for document in batch.documents()
    )
    assert seen == Counter([*range(105), 200, 201])
