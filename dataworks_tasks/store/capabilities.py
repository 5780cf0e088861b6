"""What a server can do, as data: one value per dialect, refined by its hello."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from dataworks_tasks.settings.database import DatabaseType

_MEBIBYTE = 1024 * 1024
_LARGEST_BSON = 16 * _MEBIBYTE
_COMMIT_QUORUM_WIRE_VERSION = 9
"""MongoDB 4.4."""
_TRANSACTION_WIRE_VERSION = 9
"""MongoDB 4.4, whose transactions also make collections."""
_COMMAND_BYTES = 16 * 1024
"""Room for the command around the documents, as the server allows on top of a document."""


class CollectionCommand(StrEnum):
    """How a collection gets its shard key and throughput."""

    NONE = "none"  # it has neither
    SHARD_COLLECTION = "shardCollection"
    CUSTOM_ACTION = "customAction"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a dialect can do. Code checks these, never which dialect it is."""

    max_documents_per_write: int = 10_000
    max_bytes_per_write: int = _LARGEST_BSON
    """BSON bytes of one write's documents together."""
    max_document_bytes: int = _LARGEST_BSON
    max_document_json_bytes: int | None = None
    """The largest document measured as JSON; None: the server does not measure that."""
    max_id_bytes: int | None = None
    server_sessions: bool = True
    retryable_writes: bool = True
    sample: bool = True
    """Whether ``$sample`` draws different documents."""
    collection_stats: bool = True
    pipeline_updates: bool = True
    """Whether an update can be a pipeline (MongoDB 4.2)."""
    commit_quorum: bool = False
    """Whether an index build can wait for a majority instead of every node."""
    majority_reads: bool = False
    """Whether reads can be limited to what a majority of nodes has, which no failover rolls back.

    A standalone server has no failover. Azure maps a read's concern to an account's consistency
    level.
    """
    fenced_writes: bool = False
    """Whether writes can carry transaction numbers, so that late ones are refused."""
    transactions: bool = False
    """Whether many writes can be one transaction, which costs a node less than separate writes."""
    request_charge: bool = False
    """Whether the server counts request units, and reports them after a request."""
    collection_command: CollectionCommand = CollectionCommand.NONE
    refused_index_kinds: frozenset[str] = frozenset()
    """Kinds of indexes that the server does not have, such as text."""
    sparse_indexes: bool = True
    """Whether a non-unique index may leave documents out, as a sparse or partial one does."""
    unique_indexes_while_empty: bool = False
    """Whether a unique index can be built only while its collection has no documents."""
    shard_key_in_filters: bool = False
    """Whether a write that finds its document by a filter must name the shard key."""
    max_idle_ms: int | None = None
    """How long a connection may be idle before the service cuts it, with a margin."""

    def reported(
        self, hello: Mapping[str, Any], large_documents: bool | None = None
    ) -> Capabilities:
        """Return the same with the limits of the server that answered ``hello``.

        ``large_documents``: whether the user says that the account has the 16 MB option; None if
        unknown.
        """
        largest_bson = int(hello.get("maxBsonObjectSize", self.max_document_bytes))
        message = int(hello.get("maxMessageSizeBytes", self.max_bytes_per_write + _COMMAND_BYTES))
        documents = int(hello.get("maxWriteBatchSize", self.max_documents_per_write))
        is_mongos = hello.get("msg") == "isdbgrid"
        found = replace(
            self,
            max_documents_per_write=min(self.max_documents_per_write, documents),
            max_bytes_per_write=min(largest_bson, message - _COMMAND_BYTES),
            max_document_bytes=largest_bson,
            server_sessions=hello.get("logicalSessionTimeoutMinutes") is not None,
            commit_quorum=self.collection_command is CollectionCommand.NONE
            and "setName" in hello
            and int(hello.get("maxWireVersion", 0)) >= _COMMIT_QUORUM_WIRE_VERSION,
            fenced_writes=self.collection_command is CollectionCommand.NONE
            and ("setName" in hello or is_mongos),
            transactions=self.collection_command is CollectionCommand.NONE
            and "setName" in hello
            and not is_mongos
            and int(hello.get("maxWireVersion", 0)) >= _TRANSACTION_WIRE_VERSION,
            majority_reads=self.collection_command is CollectionCommand.NONE
            and ("setName" in hello or is_mongos),
        )
        if large_documents is None:
            # A server that accepts messages larger than any document seems to have the option. If
            # that is wrong, its own refusal is recorded.
            large_documents = message > largest_bson
        if self.max_document_json_bytes is not None and large_documents:
            found = replace(found, max_document_json_bytes=largest_bson)
        if is_mongos and self.collection_command is CollectionCommand.NONE:
            found = replace(
                found,
                collection_command=CollectionCommand.SHARD_COLLECTION,
                shard_key_in_filters=True,
            )
        return found


_MONGODB = Capabilities()

DIALECTS: Mapping[DatabaseType, Capabilities] = MappingProxyType(
    {
        DatabaseType.MONGODB: _MONGODB,
        DatabaseType.MONGODB_ATLAS: _MONGODB,
        # Limits and refusals: docs/cosmos-facts.md sections 3 and 4.
        DatabaseType.COSMOS_DB: Capabilities(
            max_documents_per_write=1000,
            max_bytes_per_write=4 * _MEBIBYTE - _COMMAND_BYTES,
            max_document_json_bytes=2 * _MEBIBYTE,
            max_id_bytes=1023,
            server_sessions=False,
            retryable_writes=False,
            sample=False,
            collection_stats=False,
            pipeline_updates=False,
            refused_index_kinds=frozenset({"text", "2d", "hashed"}),
            sparse_indexes=False,
            unique_indexes_while_empty=True,
            request_charge=True,
            collection_command=CollectionCommand.CUSTOM_ACTION,
            shard_key_in_filters=True,
            max_idle_ms=230_000,
        ),
        DatabaseType.AZURE_DOCUMENTDB: Capabilities(
            max_documents_per_write=10_000,
            collection_command=CollectionCommand.SHARD_COLLECTION,
            shard_key_in_filters=True,
            max_idle_ms=230_000,
        ),
    }
)
"""What each dialect can do before its server has answered."""

_HOST_ENDINGS = (
    (".mongocluster.cosmos.azure.com", DatabaseType.AZURE_DOCUMENTDB),
    (".cosmos.azure.com", DatabaseType.COSMOS_DB),
    (".documents.azure.com", DatabaseType.COSMOS_DB),
    (".mongodb.net", DatabaseType.MONGODB_ATLAS),
)


def type_by_host(host: str) -> DatabaseType | None:
    """Return the dialect that a host name implies; None if it implies none."""
    return next((type_ for ending, type_ in _HOST_ENDINGS if host.endswith(ending)), None)


def type_by_hello(hello: Mapping[str, Any]) -> DatabaseType | None:
    """Return the dialect that a server's hello implies; None if it could be any MongoDB."""
    if hello.get("setName") == "globaldb":
        return DatabaseType.COSMOS_DB
    internal = hello.get("internal")
    inside = internal if isinstance(internal, Mapping) else {}
    if any(name in inside for name in ("documentdb_versions", "cosmos_versions")):
        return DatabaseType.AZURE_DOCUMENTDB
    return None
