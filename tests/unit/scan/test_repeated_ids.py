"""Reading continues exactly, also where documents share their ``_id``."""

from __future__ import annotations

import operator
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import bson
import pytest
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.scan.read_slice import PageCutter, SliceSource, read_slice
from dataworks_tasks.scan.repeated_ids import RepeatedIds, told_apart
from dataworks_tasks.scan.slice import Slice, SliceKind
from dataworks_tasks.scan.slice_progress import SliceProgress
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.client import BaseDatabaseClient

NAMESPACE = Namespace("shop", "orders")
IDS = RepeatedIds(("tenant",), simple_order=True)


class Partitions(BaseDatabaseClient):
    """Gives documents by ``_id``, those with the same one in any order, and loses cursors."""

    def __init__(self, documents: Sequence[Mapping[str, Any]], seed: int, cut_share: float) -> None:
        super().__init__(DatabaseConfig.model_validate({"connection_string": "mongodb://none"}))
        self._documents = documents
        self._random = random.Random(seed)
        self._cut_share = cut_share

    def find_raw(
        self, namespace: Namespace, query: Mapping[str, Any], **options: Any
    ) -> Iterator[bytes]:
        assert isinstance(query, RawBSONDocument)
        bounds = bson.decode(query.raw)["_id"]
        found = _within(self._documents, bounds)
        self._random.shuffle(found)
        found.sort(key=lambda document: document["_id"])
        size = options["batch_size"]
        for start in range(0, len(found), size):
            if start and self._random.random() < self._cut_share:
                raise StoreUnavailable("the cursor is lost")
            yield b"".join(bson.encode(document) for document in found[start : start + size])


def _within(
    documents: Sequence[Mapping[str, Any]], bounds: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    checks: dict[str, Callable[[Any, Any], bool]] = {
        "$gte": operator.ge,
        "$gt": operator.gt,
        "$lt": operator.lt,
        "$lte": operator.le,
        "$type": lambda _key, _type: True,
    }
    found = list(documents)
    for name, bound in bounds.items():
        holds = checks[name]
        found = [document for document in found if holds(document["_id"], bound)]
    return found


def documents(ids: Sequence[Any], tenants: int, seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {"_id": id_, "tenant": tenant}
        for id_ in ids
        for tenant in chance.sample(range(tenants), chance.randint(1, tenants))
    ]


def source(client: BaseDatabaseClient, size: int) -> SliceSource:
    backoff = Backoff(base_seconds=0.0, cap_seconds=0.0, tries=1000)
    return SliceSource(client, NAMESPACE, batch_size=size, backoff=backoff, repeated_ids=IDS)


OBJECT_IDS = [ObjectId(f"{number:024x}") for number in range(60)]
STRINGS = [f"id-{number:03}" for number in range(60)]


@pytest.mark.parametrize("ids", [OBJECT_IDS, STRINGS], ids=["ObjectId", "string"])
@pytest.mark.parametrize("size", [1, 7, 50])
@pytest.mark.parametrize("seed", range(4))
def test_every_document_comes_once_whatever_cursors_are_cut(
    ids: Sequence[Any], size: int, seed: int
) -> None:
    there = documents(ids, 9, seed)
    client = Partitions(there, seed, cut_share=0.2)
    read = Counter(
        document
        for batch in read_slice(source(client, size), one_type(ids))
        for document in batch.documents()
    )
    assert read == Counter(bson.encode(document) for document in there)


@pytest.mark.parametrize("ids", [OBJECT_IDS, STRINGS], ids=["ObjectId", "string"])
@pytest.mark.parametrize("size", [1, 7, 50])
@pytest.mark.parametrize("seed", range(4))
def test_parts_of_a_slice_count_every_document_once(
    ids: Sequence[Any], size: int, seed: int
) -> None:
    """Another process continues at the checkpoint, wherever the one before it was stopped."""
    there = documents(ids, 9, seed)
    chance = random.Random(seed)
    client = Partitions(there, seed, cut_share=0.05)
    counted: Counter[bytes] = Counter()
    slice_, finished, parts = one_type(ids), False, 0
    while not finished:
        progress = SliceProgress[bytes](slice_)
        finished = work(source(client, size), progress, stop_after=chance.randint(20, 80))
        part = progress.part()
        if part is not None:
            counted.update(part[0])
            slice_ = Slice.from_bytes(part[1])
            parts += 1
        if finished:
            counted.update(progress.last_part())
    counted.pop(b"", None)  # of pages that only say that something is complete
    assert counted == Counter(bson.encode(document) for document in there)
    assert parts >= 2


def work(source: SliceSource, progress: SliceProgress[bytes], stop_after: int) -> bool:
    cutter = PageCutter(source, progress.slice)
    for batch in read_slice(source, progress.slice, progress.completed_to):
        for page in cutter.pages(batch):
            documents = list(page.batch.documents())
            for document in documents[:-1]:
                progress.add(document, None)
            if documents:
                progress.add(documents[-1], page.position)
            elif page.position is not None:
                progress.add(b"", page.position)
            stop_after -= len(documents)
            if stop_after <= 0:
                return False
    return True


def one_type(ids: Sequence[Any]) -> Slice:
    """Return the whole collection, in the one type that its ``_id``s have."""
    low = bson.encode({"": "" if isinstance(ids[0], str) else ObjectId(bytes(12))})
    type_, value = low[4], low[6:-1]
    return Slice(0, lower=Element(type_, b"", value), kind=SliceKind.ONE_TYPE)


def element(value: Any) -> Element:
    data = bson.encode({"": value})
    return Element(data[4], b"", data[6:-1])


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (1, 2, True),
        (1, 1, False),
        (1, 2.0, False),
        (0.0, -0.0, False),
        (0.5, -0.5, True),
        (True, False, True),
        (ObjectId(bytes(12)), ObjectId(b"b" * 12), True),
        ({"a": 1}, {"a": 2}, False),
    ],
)
def test_only_what_surely_differs_in_order_is_told_apart(
    one: object, other: object, apart: bool
) -> None:
    assert told_apart(element(one), element(other)) is apart


def test_strings_are_told_apart_where_there_is_no_collation() -> None:
    assert told_apart(element("a"), element("b"), simple_order=True)
    assert not told_apart(element("a"), element("A"))
