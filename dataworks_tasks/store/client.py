"""A database client: one connection pool, and the few operations that DataWorks needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DocumentTooLarge, OperationFailure, PyMongoError

from dataworks_tasks.encoded_batch import EncodedBatch
from dataworks_tasks.errors import TransientError
from dataworks_tasks.namespace import Namespace
from dataworks_tasks.raw_bson import TOLERANT, Element, element_bytes, find_element, ids_filter
from dataworks_tasks.retry_policy import classify
from dataworks_tasks.store.config import DatabaseConfig
from dataworks_tasks.store.write_outcome import (
    THROTTLED,
    Rejection,
    WriteOutcome,
    read_reply,
)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a dialect can do. Code asks these, never which dialect it is."""

    max_documents_per_write: int = 10_000
    max_bytes_per_write: int = 16 * 1024 * 1024
    server_sessions: bool = True
    sample: bool = True
    collection_stats: bool = True
    request_charge: bool = False


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server says of itself."""

    version: str
    wire_version: int
    replica_set: str | None


class DocumentSequence(RawBSONDocument):
    """Many documents where the driver expects one.

    An OP_MSG document sequence is the documents' bytes end to end, and the driver's encoder copies
    ``raw`` as it is, so a whole batch costs one copy instead of one object a document (measured:
    0.7 us against 5 us a document of 1 KB).
    """

    def __init__(self, batch: EncodedBatch) -> None:
        # The base class would check that the bytes are exactly one document.
        self._sequence = batch.data

    @property
    def raw(self) -> bytes:
        """The documents' bytes."""
        return self._sequence


class BaseDatabaseClient:
    """A connection to one server or cluster, made when it is first needed.

    Make it in the process that uses it, after a fork, and close it there (it is a context manager).
    Methods raise the errors of ``retry_policy.classify``, never the driver's.
    """

    capabilities = Capabilities()

    def __init__(self, config: DatabaseConfig) -> None:
        self.config = config
        self._client: MongoClient[dict[str, Any]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config.fingerprint})"

    def _options(self) -> dict[str, Any]:
        return {
            "maxPoolSize": max(self.config.max_pool_size, self.config.min_pool_size),
            "minPoolSize": self.config.min_pool_size,
            "maxIdleTimeMS": self.config.max_idle_time_ms,
            "serverSelectionTimeoutMS": 10_000,
            "connectTimeoutMS": 10_000,
            "socketTimeoutMS": 60_000,
            "appname": "dataworks",
        }

    @property
    def mongo(self) -> MongoClient[dict[str, Any]]:
        """The driver's client."""
        if self._client is None:
            uri = self.config.connection_string.get_secret_value()
            try:
                self._client = MongoClient(uri, **self._options())
            except PyMongoError as error:
                raise classify(error) from None
        return self._client

    def close(self) -> None:
        """Close all connections. May be called twice."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def database(self, name: str) -> Database[dict[str, Any]]:
        """A database of the driver's, that decodes whatever a server holds."""
        return self.mongo.get_database(name, codec_options=TOLERANT)

    def collection(self, namespace: Namespace) -> Collection[dict[str, Any]]:
        """A collection of the driver's, that decodes whatever a server holds."""
        return self.database(namespace.database)[namespace.collection]

    def command(self, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        """Run a command; its first key is its name."""
        try:
            return self.database(database).command(dict(command), codec_options=TOLERANT)
        except PyMongoError as error:
            raise classify(error) from None

    def server_info(self) -> ServerInfo:
        """Reach the server and ask what it is."""
        hello = self.command("admin", {"hello": 1})
        version = self.command("admin", {"buildInfo": 1}).get("version", "unknown")
        return ServerInfo(str(version), int(hello["maxWireVersion"]), hello.get("setName"))

    def warm_up(self) -> None:
        """Open ``warmup_connections`` connections, so that the first batch does not wait for it."""
        from concurrent.futures import ThreadPoolExecutor

        count = self.config.warmup_connections
        if count == 0:
            return
        with ThreadPoolExecutor(count) as threads:
            for done in [threads.submit(self.command, "admin", {"ping": 1}) for _ in range(count)]:
                done.result()

    def insert(self, namespace: Namespace, batch: EncodedBatch, write_concern: str) -> WriteOutcome:
        """Send one unordered insert command and classify what came back.

        Driver errors about the network or the rate are outcomes, not exceptions. Raises
        SettingsError or TerminalError where trying again cannot help.
        """
        command = {
            "insert": namespace.collection,
            "ordered": False,
            "writeConcern": write_concern_document(write_concern),
            "documents": [DocumentSequence(batch)],
        }
        try:
            reply = self.database(namespace.database).command(command, codec_options=TOLERANT)
        except DocumentTooLarge as error:
            return _too_large(batch, str(error))
        except OperationFailure as error:
            return _failed(error, len(batch))
        except PyMongoError as error:
            failure = classify(error)
            if not isinstance(failure, TransientError):
                raise failure from None
            return WriteOutcome.nothing_known(len(batch), str(failure))
        return read_reply(reply, len(batch))

    def find_raw(
        self, namespace: Namespace, query: Mapping[str, Any], **options: Any
    ) -> Iterator[bytes]:
        """Raw batches of what matches: bytes of whole documents, as the server sent them."""
        try:
            yield from self.collection(namespace).find_raw_batches(query, **options)
        except PyMongoError as error:
            raise classify(error) from None

    def fetch(self, namespace: Namespace, ids: Iterable[Element]) -> dict[bytes, bytes]:
        """The documents with these ``_id``s, by the ``_id`` field's bytes as the server has it."""
        found: dict[bytes, bytes] = {}
        for data in self.find_raw(namespace, ids_filter(ids)):
            for document in EncodedBatch.parse(data).documents():
                id_ = find_element(document, b"_id")
                if id_ is not None:
                    found[element_bytes(id_)] = document
        return found

    def has_documents(self, namespace: Namespace) -> bool:
        """Whether the collection holds anything."""
        try:
            return self.collection(namespace).find_one({}, {"_id": 1}) is not None
        except PyMongoError as error:
            raise classify(error) from None

    def estimated_count(self, namespace: Namespace) -> int:
        """Documents by the collection's metadata: at once, and nearly right."""
        try:
            return self.collection(namespace).estimated_document_count()
        except PyMongoError as error:
            raise classify(error) from None

    def count(self, namespace: Namespace) -> int:
        """Documents, counted."""
        try:
            return self.collection(namespace).count_documents({})
        except PyMongoError as error:
            raise classify(error) from None

    def create_indexes(self, namespace: Namespace, indexes: Sequence[Mapping[str, Any]]) -> None:
        """Build indexes, given as the ``createIndexes`` command has them; those there are kept.

        May take as long as the collection is large: no client-side timeout applies.
        """
        command = {
            "createIndexes": namespace.collection,
            "indexes": [dict(index) for index in indexes],
        }
        options = {**self._options(), "socketTimeoutMS": 0}
        uri = self.config.connection_string.get_secret_value()
        try:
            with MongoClient[dict[str, Any]](uri, **options) as patient:
                patient[namespace.database].command(command)
        except PyMongoError as error:
            raise classify(error) from None

    def drop(self, namespace: Namespace) -> None:
        """Drop the collection; nothing happens when there is none."""
        try:
            self.database(namespace.database).drop_collection(namespace.collection)
        except PyMongoError as error:
            raise classify(error) from None


def write_concern_document(write_concern: str) -> dict[str, Any]:
    """``majority`` or a number of nodes, as the server wants it."""
    nodes: str | int = int(write_concern) if write_concern.isdigit() else write_concern
    return {"w": nodes, "wtimeout": 30_000}


def _failed(error: OperationFailure, count: int) -> WriteOutcome:
    if error.code == THROTTLED:
        return WriteOutcome.all_throttled(count, str(error))
    failure = classify(error)
    if isinstance(failure, TransientError):
        return WriteOutcome.nothing_known(count, str(failure))
    raise failure from None


def _too_large(batch: EncodedBatch, reason: str) -> WriteOutcome:
    if len(batch) > 1:
        raise ValueError(f"a batch of {len(batch)} documents is larger than one write may be")
    return WriteOutcome(written=0, rejected=(Rejection(0, 10334, reason),))
