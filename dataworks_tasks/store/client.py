"""A database client: one connection pool, and the few operations that DataWorks needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, Self, TypeVar

from bson.timestamp import Timestamp
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import (
    TOLERANT,
    Element,
    ids_filter,
)
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig, DatabaseType
from dataworks_tasks.store.capabilities import DIALECTS, Capabilities
from dataworks_tasks.store.connection_watch import ConnectionWatch
from dataworks_tasks.store.driver import Driver, open_driver, open_driver_without_timeout
from dataworks_tasks.store.driver_errors import classified
from dataworks_tasks.store.hello import ServerInfo, ask_hello, detect_dialect, server_info
from dataworks_tasks.store.insert_command import send_insert
from dataworks_tasks.store.raw_batches import raw_batches
from dataworks_tasks.store.request_charge import RequestCharges
from dataworks_tasks.store.retrying import retry_transient, retry_while_throttled
from dataworks_tasks.store.shard_key import ShardKeys
from dataworks_tasks.store.write_outcome import WriteOutcome
from dataworks_tasks.store.write_size import WriteSize

T = TypeVar("T")
Documents = Collection[dict[str, Any]]

_FEW_TRIES = Backoff(tries=3)
"""For queries that a person waits for."""

WRITE_CONCERN_MILLISECONDS = 30_000
"""How long a server waits for the nodes of a write concern before it reports that it is not met."""

_MAJORITY = ReadConcern("majority")


class BaseDatabaseClient:
    """A connection to one server or cluster, made when it is first needed.

    Make it in the process that uses it, after a fork, and close it there (it is a context manager).
    Methods raise the errors of ``driver_errors.classify``, never the driver's.
    """

    db_type = DatabaseType.MONGODB

    def __init__(self, config: DatabaseConfig) -> None:
        self.config = config
        self.write_size = WriteSize()
        self._capabilities = DIALECTS[self.db_type]
        self._watch = ConnectionWatch()
        self._charges = RequestCharges(self._watch)
        self._shard_keys = ShardKeys(self)
        self._reads_committed = False
        self.newest_time: Timestamp | None = None
        """The newest operation that the driver has heard of from this server, as far as is known"""
        self._opening = Lock()
        self._client: Driver | None = None
        self._without_timeout: Driver | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What the server can do: by its dialect, and by its hello once it was reached."""
        return self._capabilities

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config.fingerprint})"

    @property
    def mongo(self) -> Driver:
        """The driver's client, the same for all threads, even if they ask for it at once."""
        if self._client is None:
            with self._opening:
                if self._client is None:
                    self._client = open_driver(self.config, self._capabilities, self._watch)
        return self._client

    @property
    def without_timeout(self) -> Driver:
        """A client for operations whose duration grows with the collection: no socket timeout."""
        if self._without_timeout is None:
            with self._opening:
                if self._without_timeout is None:
                    self._without_timeout = open_driver_without_timeout(
                        self.config, self._capabilities
                    )
        return self._without_timeout

    def close(self) -> None:
        """Close all connections. May be called twice."""
        if self._without_timeout is not None:
            self._without_timeout.close()
            self._without_timeout = None
        if self._client is not None:
            self._client.close()
            self._client = None
            self.newest_time = None

    def read_committed(self) -> None:
        """From now on read only what no failover can roll back, if the server supports that.

        What only one node has is then not seen.
        """
        self._reads_committed = True

    def database(self, name: str) -> Database[dict[str, Any]]:
        """Return a driver's database object that decodes everything that a server can hold."""
        return self.mongo.get_database(name, codec_options=TOLERANT)

    def collection(self, namespace: Namespace, *, committed: bool = False) -> Documents:
        """Return a driver's collection object that decodes everything that a server can hold.

        ``committed``: read only what a failover cannot roll back, if the server supports it.
        """
        committed = (committed or self._reads_committed) and self._capabilities.majority_reads
        with classified():  # the driver refuses names that servers accept, such as a..b
            return self.database(namespace.database).get_collection(
                namespace.collection, read_concern=_MAJORITY if committed else None
            )

    def command(self, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        """Run a command; its first key is its name."""
        with classified():
            return self.database(database).command(dict(command), codec_options=TOLERANT)

    def server_info(self) -> ServerInfo:
        """Reach the server, read its hello, and adapt the capabilities to it.

        Raises SettingsError for a server that the driver is too new for, and for a connection
        string that does not fit the dialect which the server turns out to speak.
        """
        return server_info(self._hello(), self._asker("admin"))

    def _hello(self) -> Mapping[str, Any]:
        hello = ask_hello(self._asker("admin"))
        self.db_type, self._capabilities = detect_dialect(hello, self.config, self.db_type)
        return hello

    def _asker(self, database: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        return partial(self.command, database)

    def warm_up(self) -> None:
        """Reach the server, and open ``warmup_connections`` connections.

        The first batch waits for neither.
        """
        self._hello()
        count = self.config.warmup_connections
        if count > 0:
            self._watch.open_connections(count, lambda: self.command("admin", {"ping": 1}))

    def insert(self, namespace: Namespace, batch: EncodedBatch, write_concern: str) -> WriteOutcome:
        """Send one unordered insert command and classify the reply.

        Driver errors about the network or the rate are outcomes, not exceptions. Raises
        SettingsError or TerminalError where trying again cannot help.
        """
        concern = write_concern_document(write_concern)
        outcome = send_insert(self.collection(namespace), batch, concern)
        if self._capabilities.request_charge and (outcome.written or outcome.duplicates):
            charge = self._charges.of_insert(self._asker(namespace.database), batch, outcome)
            outcome = replace(outcome, request_units=charge)
        return outcome

    def estimated_charge(self, documents: int, size_bytes: int) -> float:
        """RU of an insert, estimated from those that the server reported."""
        return self._charges.estimate(documents, size_bytes)

    def shard_key(self, namespace: Namespace) -> str | None:
        """Return the dotted path of the collection's shard key; None if it has none.

        For a compound key it is the first field, which is enough to find the shard. Only servers
        that need it in filters are asked, once for each collection.
        """
        return next(iter(self._shard_keys.of(namespace)), None)

    def shard_key_paths(self, namespace: Namespace) -> tuple[str, ...]:
        """All dotted paths of the collection's shard key."""
        return self._shard_keys.of(namespace)

    def shared_id_key(self, namespace: Namespace) -> tuple[str, ...]:
        """Return the shard key's paths if documents may share an ``_id`` across them.

        The result is empty if the ``_id`` alone identifies a document.
        """
        paths = self._shard_keys.of(namespace)
        return () if paths == ("_id",) else paths

    def forget_shard_key(self, namespace: Namespace) -> None:
        """Ask for the shard key again: the collection was created or dropped."""
        self._shard_keys.forget(namespace)

    def find_raw(
        self,
        namespace: Namespace,
        query: Mapping[str, Any],
        *,
        committed: bool = False,
        **options: Any,
    ) -> Iterator[bytes]:
        """Yield raw batches of the matching documents, in the server's bytes.

        Throttling before the first batch is retried. Later it raises Throttled, and a cut cursor
        raises StoreUnavailable: only the caller knows how to continue.
        """
        yield from raw_batches(self.collection(namespace, committed=committed), query, **options)

    def read_charge(self, database: str) -> float | None:
        """Return the RU of the page that this thread has just read; None if not reported."""
        if not self._capabilities.request_charge:
            return None
        return self._charges.of_page(self._asker(database))

    def fetch(self, namespace: Namespace, ids: Iterable[Element]) -> list[bytes]:
        """Return the documents with these ``_id``s; several if their shard keys differ."""
        return self.find_all(namespace, ids_filter(ids))

    def find_all(self, namespace: Namespace, query: Mapping[str, Any]) -> list[bytes]:
        """Return the documents that match a selective query; retries transient errors."""
        return retry_transient(lambda: self._found(namespace, query))

    def _found(self, namespace: Namespace, query: Mapping[str, Any]) -> list[bytes]:
        return [
            document
            for data in self.find_raw(namespace, query)
            for document in EncodedBatch.parse(data).documents()
        ]

    def aggregate_one(
        self, namespace: Namespace, pipeline: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any] | None:
        """Return the first result of a pipeline, without a time limit."""
        database = self.without_timeout.get_database(namespace.database, codec_options=TOLERANT)
        collection = database.get_collection(namespace.collection)

        def once() -> dict[str, Any] | None:
            with classified():
                return next(iter(collection.aggregate(list(pipeline), allowDiskUse=True)), None)

        return retry_transient(once)

    def has_documents(self, namespace: Namespace) -> bool:
        """Return whether the collection holds any document."""
        return self._ask(namespace, lambda found: found.find_one({}, {"_id": 1}) is not None)

    def estimated_count(self, namespace: Namespace) -> int:
        """Return the number of documents by the metadata: immediate, and nearly right."""
        return self._ask(namespace, lambda found: found.estimated_document_count())

    def count(self, namespace: Namespace) -> int:
        """Count the documents."""
        return self._ask(namespace, lambda found: found.count_documents({}))

    def count_without_timeout(self, namespace: Namespace, query: Mapping[str, Any]) -> int:
        """Count the documents that match, however long that takes."""
        database = self.without_timeout.get_database(namespace.database, codec_options=TOLERANT)

        def once() -> int:
            with classified():
                return database.get_collection(namespace.collection).count_documents(query)

        return retry_transient(once, _FEW_TRIES)

    def _ask(self, namespace: Namespace, question: Callable[[Documents], T]) -> T:
        def once() -> T:
            with classified():
                return question(self.collection(namespace))

        return retry_transient(once, _FEW_TRIES)

    def drop(self, namespace: Namespace) -> None:
        """Drop the collection if it exists."""

        def once() -> None:
            with classified():
                self.database(namespace.database).drop_collection(namespace.collection)

        retry_while_throttled(once)
        self.forget_shard_key(namespace)


def write_concern_document(write_concern: str) -> dict[str, Any]:
    """Return the write concern, ``majority`` or a number of nodes, in the server's form."""
    nodes: str | int = int(write_concern) if write_concern.isdigit() else write_concern
    return {"w": nodes, "wtimeout": WRITE_CONCERN_MILLISECONDS}
