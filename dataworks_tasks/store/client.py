"""A database client: one connection pool, and the few operations that DataWorks needs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DocumentTooLarge, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from dataworks_tasks.encoded_batch import EncodedBatch
from dataworks_tasks.errors import TerminalError, TransientError
from dataworks_tasks.namespace import Namespace
from dataworks_tasks.raw_bson import TOLERANT, Element, element_bytes, find_element, ids_filter
from dataworks_tasks.retry_policy import Backoff, classified, classify
from dataworks_tasks.store.capabilities import DIALECTS, Capabilities, type_by_hello
from dataworks_tasks.store.config import DatabaseConfig, DatabaseType
from dataworks_tasks.store.connection_string import check_connection_string, names_option
from dataworks_tasks.store.connection_watch import ConnectionWatch
from dataworks_tasks.store.patience import patiently, throttling_waited_out
from dataworks_tasks.store.raw_batches import RawBatches
from dataworks_tasks.store.request_charge import ChargeMeter, estimated_charge
from dataworks_tasks.store.shard_key import read_shard_key
from dataworks_tasks.store.write_outcome import (
    THROTTLED,
    TOO_LARGE_FOR_COSMOS,
    WriteOutcome,
    read_reply,
)
from dataworks_tasks.store.write_size import WriteSize

_FEW_TRIES = Backoff(tries=3)
"""For questions that a person waits for."""


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


WRITE_CONCERN_MILLISECONDS = 30_000
"""How long a server waits for the nodes of a write concern before it says that it is not met."""

_MAJORITY = ReadConcern("majority")

_TIMEOUTS = {
    "serverSelectionTimeoutMS": 10_000,
    "connectTimeoutMS": 10_000,
    "socketTimeoutMS": 60_000,
}
"""Milliseconds, where the connection string says nothing else."""


class BaseDatabaseClient:
    """A connection to one server or cluster, made when it is first needed.

    Make it in the process that uses it, after a fork, and close it there (it is a context manager).
    Methods raise the errors of ``retry_policy.classify``, never the driver's.
    """

    db_type = DatabaseType.MONGODB

    def __init__(self, config: DatabaseConfig) -> None:
        self.config = config
        self.write_size = WriteSize()
        self._capabilities = DIALECTS[self.db_type]
        self._watch = ConnectionWatch()
        self._charges = ChargeMeter(self._watch, frozenset({"insert"}))
        self._read_charges = ChargeMeter(self._watch, frozenset({"find", "getMore"}))
        self._shard_keys: dict[Namespace, str | None] = {}
        self._reads_committed = False
        self._client: MongoClient[dict[str, Any]] | None = None
        self._patient: MongoClient[dict[str, Any]] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the server can do: by its dialect, and by its hello once it was reached."""
        return self._capabilities

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
        config = self.config
        uri = config.connection_string.get_secret_value()
        idle = min(config.max_idle_time_ms, self._capabilities.max_idle_ms or sys.maxsize)
        options: dict[str, Any] = {
            "maxPoolSize": max(
                config.max_pool_size, config.min_pool_size, config.warmup_connections
            ),
            "minPoolSize": config.min_pool_size,
            "maxIdleTimeMS": idle,
        }
        options |= {name: ms for name, ms in _TIMEOUTS.items() if not names_option(uri, name)}
        if not names_option(uri, "appName"):
            options["appName"] = "dataworks"
        if not self._capabilities.retryable_writes:
            options["retryWrites"] = False
        return options

    @property
    def mongo(self) -> MongoClient[dict[str, Any]]:
        """The driver's client."""
        if self._client is None:
            uri = self.config.connection_string.get_secret_value()
            with classified():
                self._client = MongoClient(uri, event_listeners=[self._watch], **self._options())
        return self._client

    @property
    def patient(self) -> MongoClient[dict[str, Any]]:
        """A driver's client for what takes as long as a collection is large: no socket timeout."""
        if self._patient is None:
            options = {**self._options(), "minPoolSize": 0, "socketTimeoutMS": 0}
            uri = self.config.connection_string.get_secret_value()
            with classified():
                self._patient = MongoClient(uri, **options)
        return self._patient

    def close(self) -> None:
        """Close all connections. May be called twice."""
        if self._patient is not None:
            self._patient.close()
            self._patient = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def read_committed(self) -> None:
        """From now on read only what no failover can take back, where the server knows that.

        What one node alone has is not seen then.
        """
        self._reads_committed = True

    def database(self, name: str) -> Database[dict[str, Any]]:
        """A database of the driver's, that decodes whatever a server holds."""
        return self.mongo.get_database(name, codec_options=TOLERANT)

    def collection(self, namespace: Namespace) -> Collection[dict[str, Any]]:
        """A collection of the driver's, that decodes whatever a server holds."""
        committed = self._reads_committed and self._capabilities.majority_reads
        return self.database(namespace.database).get_collection(
            namespace.collection, read_concern=_MAJORITY if committed else None
        )

    def command(self, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        """Run a command; its first key is its name."""
        with classified():
            return self.database(database).command(dict(command), codec_options=TOLERANT)

    def server_info(self) -> ServerInfo:
        """Reach the server, ask what it is, and adapt the capabilities to it.

        Raises SettingsError for a server that the driver is too new for, and for a connection
        string that does not fit the dialect which the server turns out to speak.
        """
        hello = self._hello()
        version = self.command("admin", {"buildInfo": 1}).get("version", "unknown")
        return ServerInfo(str(version), int(hello["maxWireVersion"]), hello.get("setName"))

    def _hello(self) -> dict[str, Any]:
        try:
            hello = self.command("admin", {"hello": 1})
        except TerminalError:  # servers before 4.4 may know it by its old name only
            hello = self.command("admin", {"isMaster": 1})
        told = None if self.config.db_type else type_by_hello(hello)
        if told is not None and told is not self.db_type:
            check_connection_string(self.config.connection_string.get_secret_value(), told)
            self.db_type = told
        self._capabilities = DIALECTS[self.db_type].reported(hello, self.config.large_documents)
        return hello

    def warm_up(self) -> None:
        """Reach the server, and open ``warmup_connections`` connections.

        The first batch waits for neither.
        """
        self._hello()
        count = self.config.warmup_connections
        if count > 0:
            self._watch.open_connections(count, lambda: self.command("admin", {"ping": 1}))

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
            return WriteOutcome.all_oversize(len(batch), str(error))
        except OperationFailure as error:
            return _failed(error, len(batch))
        except PyMongoError as error:
            failure = classify(error)
            if not isinstance(failure, TransientError):
                raise failure from None
            return WriteOutcome.nothing_known(len(batch), str(failure))
        outcome = read_reply(reply, len(batch))
        if self._capabilities.request_charge and (outcome.written or outcome.duplicates):
            charge = self._charge(namespace.database, batch, outcome)
            outcome = replace(outcome, request_units=charge)
        return outcome

    def _charge(self, database: str, batch: EncodedBatch, outcome: WriteOutcome) -> float | None:
        executed = len(batch) - len(outcome.throttled)
        estimated = estimated_charge(executed, batch.size_bytes * executed // len(batch))
        return self._charges.of_last_request(lambda ask: self.command(database, ask), estimated)

    def estimated_charge(self, documents: int, size_bytes: int) -> float:
        """RU of an insert by what the server told of others."""
        return self._charges.estimate(documents, size_bytes)

    def shard_key(self, namespace: Namespace) -> str | None:
        """The dotted path of the collection's shard key; None when it has none.

        Only servers that need it in filters are asked, and once for each collection.
        """
        if not self._capabilities.shard_key_in_filters:
            return None
        if namespace not in self._shard_keys:
            self._shard_keys[namespace] = patiently(lambda: read_shard_key(self, namespace))
        return self._shard_keys[namespace]

    def forget_shard_key(self, namespace: Namespace) -> None:
        """Ask for the shard key again: the collection was created or dropped."""
        self._shard_keys.pop(namespace, None)

    def find_raw(
        self, namespace: Namespace, query: Mapping[str, Any], **options: Any
    ) -> Iterator[bytes]:
        """Raw batches of what matches: bytes of whole documents, as the server sent them.

        Throttling before the first batch is waited out. Later it raises Throttled, as a cut cursor
        raises StoreUnavailable: only the caller knows how to go on behind what it has.
        """

        def first() -> tuple[Iterator[Any], Any]:
            cursor = RawBatches(self.collection(namespace), query, **options)
            with classified():
                return cursor, next(cursor, None)

        cursor, data = throttling_waited_out(first)
        while data is not None:
            yield data
            with classified():
                data = next(cursor, None)

    def read_charge(self, database: str) -> float | None:
        """RU of the page that this thread has just read; None where the server tells nothing."""
        if not self._capabilities.request_charge:
            return None
        return self._read_charges.of_last_request(lambda ask: self.command(database, ask), 0.0)

    def fetch(self, namespace: Namespace, ids: Iterable[Element]) -> dict[bytes, bytes]:
        """The documents with these ``_id``s, by the ``_id`` field's bytes as the server has it."""
        query = ids_filter(ids)
        found: dict[bytes, bytes] = {}
        for document in patiently(lambda: self._found(namespace, query)):
            id_ = find_element(document, b"_id")
            if id_ is not None:
                found[element_bytes(id_)] = document
        return found

    def find_all(self, namespace: Namespace, query: Mapping[str, Any]) -> list[bytes]:
        """The documents that match, for a query that few do. Trouble that passes is waited out."""
        return patiently(lambda: self._found(namespace, query))

    def _found(self, namespace: Namespace, query: Mapping[str, Any]) -> list[bytes]:
        return [
            document
            for data in self.find_raw(namespace, query)
            for document in EncodedBatch.parse(data).documents()
        ]

    def replace(
        self,
        namespace: Namespace,
        query: Mapping[str, Any],
        document: RawBSONDocument,
        write_concern: str,
    ) -> None:
        """Replace the one document that matches. Trouble that passes is waited out."""
        concern = WriteConcern(**write_concern_document(write_concern))
        collection = self.collection(namespace).with_options(write_concern=concern)

        def once() -> None:
            with classified():
                collection.replace_one(query, document)

        patiently(once)

    def has_documents(self, namespace: Namespace) -> bool:
        """Whether the collection holds anything."""

        def ask() -> bool:
            with classified():
                return self.collection(namespace).find_one({}, {"_id": 1}) is not None

        return patiently(ask, _FEW_TRIES)

    def estimated_count(self, namespace: Namespace) -> int:
        """Documents by the collection's metadata: at once, and nearly right."""

        def ask() -> int:
            with classified():
                return self.collection(namespace).estimated_document_count()

        return patiently(ask, _FEW_TRIES)

    def count(self, namespace: Namespace) -> int:
        """Documents, counted."""

        def ask() -> int:
            with classified():
                return self.collection(namespace).count_documents({})

        return patiently(ask, _FEW_TRIES)

    def create_indexes(self, namespace: Namespace, indexes: Sequence[Mapping[str, Any]]) -> None:
        """Build indexes, given as the ``createIndexes`` command has them; those there are kept.

        May take as long as the collection is large: no client-side timeout applies.
        """
        command: dict[str, Any] = {
            "createIndexes": namespace.collection,
            "indexes": [dict(index) for index in indexes],
        }
        if self._capabilities.commit_quorum:
            # By itself a build waits for every node with a vote: for ever, when one is gone.
            command["commitQuorum"] = "majority"
        with classified():
            self.patient[namespace.database].command(command)

    def aggregate(
        self, namespace: Namespace, stages: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """The few documents that a pipeline makes of a collection, however large that is."""
        database = self.patient.get_database(namespace.database, codec_options=TOLERANT)
        with classified():
            return list(database[namespace.collection].aggregate(stages, allowDiskUse=True))

    def drop(self, namespace: Namespace) -> None:
        """Drop the collection; nothing happens when there is none."""

        def once() -> None:
            with classified():
                self.database(namespace.database).drop_collection(namespace.collection)

        throttling_waited_out(once)
        self.forget_shard_key(namespace)


def write_concern_document(write_concern: str) -> dict[str, Any]:
    """``majority`` or a number of nodes, as the server wants it."""
    nodes: str | int = int(write_concern) if write_concern.isdigit() else write_concern
    return {"w": nodes, "wtimeout": WRITE_CONCERN_MILLISECONDS}


def _failed(error: OperationFailure, count: int) -> WriteOutcome:
    if error.code == THROTTLED:
        return WriteOutcome.all_throttled(count, str(error))
    if error.code == TOO_LARGE_FOR_COSMOS:
        return WriteOutcome.all_oversize(count, str(error))
    failure = classify(error)
    if isinstance(failure, TransientError):
        return WriteOutcome.nothing_known(count, str(failure))
    raise failure from None
