"""Somebody who changes a source while it is followed, and the comparison that ends a test."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import Any, Self

from bson import Int64
from bson.decimal128 import Decimal128
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern

_MAJORITY = WriteConcern("majority", wtimeout=2000)
_HOT_KEYS = 5
_COLD_KEYS = 400
_PLACES = 20
"""Documents whose values of a unique field change places, in a collection that has such an index"""
UNIQUE_FIELD = "place"


class Writers:
    """Inserts, updates, replaces and deletes documents, hot keys more often than cold ones.

    An ``_id`` may come back as another type of number, some changes come in transactions, and
    values of ``UNIQUE_FIELD`` change places. With ``through_faults`` a server that does not answer
    is tried again, and only some writes wait for a majority, so a failover takes some back.
    """

    def __init__(
        self,
        url: str,
        database: str,
        collections: tuple[str, ...],
        seed: int,
        *,
        through_faults: bool = False,
    ) -> None:
        self._url, self._database, self._collections = url, database, collections
        self._random = random.Random(seed)
        self._through_faults = through_faults
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.changes = 0
        self.problem: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop, and raise what stopped the writers before."""
        self._stop.set()
        self._thread.join()
        if self.problem is not None:
            raise self.problem

    def have_made(self, changes: int) -> bool:
        """Whether there were so many changes."""
        return self.changes >= changes or self.problem is not None

    def _write(self) -> None:
        try:
            with MongoClient[dict[str, Any]](
                self._url, serverSelectionTimeoutMS=2000, socketTimeoutMS=5000
            ) as client:
                while not self._stop.is_set():
                    self._once(client)
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            self.problem = error

    def _once(self, client: MongoClient[dict[str, Any]]) -> None:
        draw = self._random
        concern = draw.choice([1, "majority"]) if self._through_faults else 1
        name = draw.choice(self._collections)
        collection = client.get_database(self._database)[name]
        if concern == "majority":
            collection = collection.with_options(write_concern=_MAJORITY)
        key = self._key()
        self.changes += 1
        what = draw.random()
        try:
            if what < 0.3:
                collection.update_one({"_id": key}, {"$inc": {"n": 1}}, upsert=True)
            elif what < 0.55:
                collection.replace_one({"_id": key}, self._document(), upsert=True)
            elif what < 0.78:
                collection.delete_one({"_id": key})
            elif what < 0.9:
                collection.insert_one({"_id": key, **self._document()})
            elif what < 0.95:
                self._swap(collection)
            else:
                self._in_a_transaction(client, key)
        except DuplicateKeyError:
            pass
        except PyMongoError as error:
            if not self._through_faults or not _passes(error):
                raise
            self._stop.wait(0.05)

    def _swap(self, collection: Any) -> None:
        """Make two documents exchange a unique value."""
        one, other = self._random.sample(range(_PLACES), 2)
        for place, value in ((one, -1 - one), (other, one), (one, other)):
            with suppress(DuplicateKeyError):
                collection.update_one(
                    {"_id": f"place{place}"}, {"$set": {UNIQUE_FIELD: value}}, upsert=True
                )

    def _in_a_transaction(self, client: MongoClient[dict[str, Any]], key: Any) -> None:
        database = client[self._database]

        def several(session: Any) -> None:
            for name in self._collections:
                database[name].delete_one({"_id": key}, session=session)
                database[name].insert_one({"_id": key, **self._document()}, session=session)

        with client.start_session() as session:
            session.with_transaction(several)

    def _key(self) -> Any:
        number = self._random.randrange(_HOT_KEYS if self._random.random() < 0.4 else _COLD_KEYS)
        kinds = (int, float, Int64, lambda n: Decimal128(str(n)), lambda n: f"k{n}")
        return self._random.choice(kinds)(number)

    def _document(self) -> dict[str, Any]:
        return {"n": self._random.randrange(10**6), "text": "x" * self._random.randrange(200)}


def _passes(error: PyMongoError) -> bool:
    """Whether it is a server that is gone, a failover, or a transaction that met another."""
    if isinstance(error, ConnectionFailure):
        return True
    labels = ("TransientTransactionError", "RetryableWriteError", "UnknownTransactionCommitResult")
    if any(error.has_error_label(label) for label in labels):
        return True
    return isinstance(error, OperationFailure) and error.code in _PASSING_CODES


_PASSING_CODES = frozenset({64, 91, 112, 189, 251, 10107, 11600, 11602, 13435, 13436})
"""Write concern, shutdown, write conflict, step-down, transaction gone, not primary."""


class SimpleWriters:
    """Inserts, replaces and deletes in one collection: what every service has. A pause between."""

    def __init__(self, collection: Any, seed: int, pause: float = 0.01) -> None:
        self._collection, self._pause = collection, pause
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.changes = 0
        self.problem: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.problem is not None:
            raise self.problem

    def _write(self) -> None:
        try:
            while not self._stop.wait(self._pause):
                self._once()
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            self.problem = error

    def _once(self) -> None:
        draw, key = self._random, self._random.randrange(150)
        document = {"_id": key, "n": draw.randrange(10**6), "text": "x" * draw.randrange(200)}
        try:
            if draw.random() < 0.3:
                self._collection.delete_one({"_id": key})
            else:
                self._collection.replace_one({"_id": key}, document, upsert=True)
        except (ConnectionFailure, OperationFailure):
            return  # throttled, or a cut connection: nobody knows whether it was written
        self.changes += 1


def raw_documents(client: MongoClient[dict[str, Any]], database: str, name: str) -> list[bytes]:
    """Every document's bytes, sorted."""
    collection = client[database][name]
    options = collection.codec_options.with_options(document_class=RawBSONDocument)
    return sorted(bytes(each.raw) for each in collection.with_options(options).find({}))
