"""What a duplicate key means: our own document from an earlier attempt, or another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.raw_bson import (
    Element,
    element_bytes,
    find_element,
    id_filter,
    ids_filter,
)
from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.replace_document import replace_document
from dataworks_tasks.store.shard_key import narrowed, value_at


@dataclass(slots=True)
class ResolvedDuplicates:
    """``refused``: reasons by position among the documents given."""

    already_there: int = 0
    replaced: int = 0
    skipped: int = 0
    refused: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a document unique: its ``_id``, and the shard key's value if there is one."""

    id: Element
    shard_values: tuple[tuple[str, Element], ...]

    @property
    def key(self) -> tuple[bytes, ...]:
        """Equal for the same values of the same types."""
        values = (path.encode() + element_bytes(value) for path, value in self.shard_values)
        return element_bytes(self.id), *values

    def query(self) -> RawBSONDocument:
        """Return a filter for the document, or one with an equal ``_id`` of another type."""
        query = id_filter(self.id)
        for path, value in self.shard_values:
            query = narrowed(query, path, [value])
        return query


def resolve_duplicates(
    client: BaseDatabaseClient,
    namespace: Namespace,
    documents: Sequence[bytes],
    on_conflict: OnConflict,
    write_concern: str,
) -> ResolvedDuplicates:
    """Compare documents that met a duplicate key with what the target holds.

    Equal bytes mean that an earlier attempt wrote it: success. The policy decides about any other.
    If the collection has a shard key, ``_id`` is unique only within each of its values, so both
    identify a document.
    """
    resolved = ResolvedDuplicates()
    paths = client.shared_id_key(namespace)
    identities = [identity_of(document, paths) for document in documents]
    present = _present(client, namespace, identities, paths)
    for position, (document, identity) in enumerate(zip(documents, identities, strict=True)):
        there = present.get(identity.key)
        if there is None:
            there = _equal_id(client, namespace, identity)
        if there == document:
            resolved.already_there += 1
        elif there is None:
            resolved.refused[position] = "another document has the same value in a unique index"
        elif on_conflict is OnConflict.SKIP:
            resolved.skipped += 1
        elif on_conflict is OnConflict.REPLACE:
            query = identity.query()
            reason = replace_document(client, namespace, query, document, write_concern)
            if reason is None:
                resolved.replaced += 1
            else:
                resolved.refused[position] = reason
        else:
            resolved.refused[position] = "the target holds another document with this _id"
    return resolved


def identity_of(document: bytes, paths: Sequence[str]) -> Identity:
    """Return a stored document's identity; ``paths`` are the client's ``shared_id_key``."""
    id_ = find_element(document, b"_id")
    if id_ is None:
        raise ValueError("a stored document has no _id")
    values = ((path, value_at(document, path)) for path in paths)
    return Identity(id_, tuple((path, value) for path, value in values if value is not None))


def _present(
    client: BaseDatabaseClient,
    namespace: Namespace,
    identities: Sequence[Identity],
    paths: Sequence[str],
) -> dict[tuple[bytes, ...], bytes]:
    query = ids_filter(identity.id for identity in identities)
    for path in paths[:1]:  # enough to find the shards
        values = {dict(identity.shard_values).get(path): None for identity in identities}
        known = [value for value in values if value is not None]
        query = narrowed(query, path, known) if known else query
    found = client.find_all(namespace, query)
    return {identity_of(document, paths).key: document for document in found}


def _equal_id(client: BaseDatabaseClient, namespace: Namespace, identity: Identity) -> bytes | None:
    """Return the document whose ``_id`` is equal but of another type, as 1 and 1.0 are."""
    return next(iter(client.find_all(namespace, identity.query())), None)
