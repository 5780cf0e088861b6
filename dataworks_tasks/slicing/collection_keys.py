"""The keys of one collection, read from the index alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pymongo.errors import PyMongoError

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.errors import TransientError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.scan.key_space import ID, KeyRange, key_of, query
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classify

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CollectionKeys:
    """A collection to cut into slices of ``size`` documents along ``field``.

    Queries are short and self-contained: a planner may be idle for minutes between two of
    them, longer than a server keeps a cursor. Transient errors are retried.
    """

    source: BaseDatabaseClient
    namespace: Namespace
    field: bytes
    size: int

    @property
    def unique(self) -> bool:
        """Whether no two documents have the same key."""
        return self.field == ID

    def find(
        self, key_ranges: Sequence[KeyRange], limit: int, skip: int = 0, direction: int = 1
    ) -> list[Element]:
        """Return keys in ``key_ranges``, in order; the query is covered by the key's index."""
        name = self.field.decode()
        options: dict[str, Any] = {
            "projection": {name: 1} if self.unique else {name: 1, "_id": 0},
            "sort": {name: direction},
            "limit": limit,
            "skip": skip,
            "batch_size": limit + 1,
        }
        if all(key_range.only_type is None for key_range in key_ranges):
            options["hint"] = {name: 1}
        wanted = query(key_ranges, self.field)
        return retry_while_planning(
            lambda: self._keys_in(self.source.find_raw(self.namespace, wanted, **options))
        )

    def sample(self, size: int, key_ranges: Sequence[KeyRange]) -> list[Element]:
        """Draw about ``size`` keys at random; return those in ``key_ranges``, in order."""
        name = self.field.decode()
        pipeline: list[Mapping[str, Any]] = [
            {"$sample": {"size": size}},
            {"$match": query(key_ranges, self.field)},
            {"$sort": {name: 1}},
            {"$project": {name: 1} if self.unique else {name: 1, "_id": 0}},
        ]

        def draw() -> list[Element]:
            collection = self.source.collection(self.namespace)
            try:
                return self._keys_in(collection.aggregate_raw_batches(pipeline, allowDiskUse=True))
            except PyMongoError as error:
                raise classify(error) from None

        return retry_while_planning(draw)

    def _keys_in(self, raw_batches: Any) -> list[Element]:
        return [
            key_of(document, self.field)
            for data in raw_batches
            for document in EncodedBatch.parse(data).documents()
        ]

    def count(self, key_range: KeyRange) -> int:
        """Documents in ``key_range``, counted in the index."""
        command: dict[str, Any] = {
            "count": self.namespace.collection,
            "query": query([key_range], self.field),
        }
        if key_range.only_type is None:
            command["hint"] = {self.field.decode(): 1}
        reply = retry_while_planning(lambda: self.source.command(self.namespace.database, command))
        return int(reply["n"])

    def estimated_count(self) -> int:
        """Documents of the collection by its metadata."""
        return retry_while_planning(lambda: self.source.estimated_count(self.namespace))

    def is_capped(self) -> bool:
        """Return whether the collection keeps insertion order and a limited size."""
        command = {"listCollections": 1, "filter": {"name": self.namespace.collection}}
        reply = retry_while_planning(lambda: self.source.command(self.namespace.database, command))
        found = reply["cursor"]["firstBatch"]
        return bool(found and found[0].get("options", {}).get("capped"))


def retry_while_planning(ask: Callable[[], T]) -> T:
    """Return the answer of ``ask``, retried after transient errors; raises the last one."""
    for pause in Backoff().pauses():
        try:
            return ask()
        except TransientError as error:
            time.sleep(getattr(error, "delay_seconds", None) or pause)
    return ask()
