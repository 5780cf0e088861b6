"""What a duplicate key means: our own document from an earlier try, or somebody else's."""

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
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import OnConflict
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
class _Identity:
    """What makes a document unique: its ``_id``, and the shard key's value where there is one."""

    id: Element
    shard_value: Element | None

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Equal for the same value of the same type."""
        shard = element_bytes(self.shard_value) if self.shard_value else b""
        return element_bytes(self.id), shard


def resolve_duplicates(
    client: BaseDatabaseClient,
    namespace: Namespace,
    documents: Sequence[bytes],
    on_conflict: OnConflict,
    write_concern: str,
) -> ResolvedDuplicates:
    """Compare documents that met a duplicate key with what the target holds.

    The same bytes mean that an earlier try wrote it: success. Anything else goes by the policy.
    Where the collection has a shard key, ``_id`` is unique for each of its values only, so both
    name a document.
    """
    resolved = ResolvedDuplicates()
    path = client.shard_key(namespace)
    identities = [_identity(document, path) for document in documents]
    present = _present(client, namespace, identities, path)
    for position, (document, identity) in enumerate(zip(documents, identities, strict=True)):
        there = present.get(identity.key)
        if there is None:
            there = _equal_id(client, namespace, identity, path)
        if there == document:
            resolved.already_there += 1
        elif there is None:
            resolved.refused[position] = "another document has the same value in a unique index"
        elif on_conflict is OnConflict.SKIP:
            resolved.skipped += 1
        elif on_conflict is OnConflict.REPLACE:
            query = _filter(identity, path)
            reason = replace_document(client, namespace, query, document, write_concern)
            if reason is None:
                resolved.replaced += 1
            else:
                resolved.refused[position] = reason
        else:
            resolved.refused[position] = "the target holds another document with this _id"
    return resolved


def _identity(document: bytes, path: str | None) -> _Identity:
    id_ = find_element(document, b"_id")
    if id_ is None:
        raise ValueError("a document without _id cannot be a duplicate of one that is known")
    return _Identity(id_, value_at(document, path) if path else None)


def _present(
    client: BaseDatabaseClient,
    namespace: Namespace,
    identities: Sequence[_Identity],
    path: str | None,
) -> dict[tuple[bytes, bytes], bytes]:
    query = ids_filter(identity.id for identity in identities)
    values = {value: None for identity in identities if (value := identity.shard_value)}
    if path is not None and values:
        query = narrowed(query, path, list(values))
    found = client.find_all(namespace, query)
    return {_identity(document, path).key: document for document in found}


def _filter(identity: _Identity, path: str | None) -> RawBSONDocument:
    query = id_filter(identity.id)
    if path is None or identity.shard_value is None:
        return query
    return narrowed(query, path, [identity.shard_value])


def _equal_id(
    client: BaseDatabaseClient, namespace: Namespace, identity: _Identity, path: str | None
) -> bytes | None:
    """The document whose ``_id`` is equal but of another type, as 1 and 1.0 are."""
    return next(iter(client.find_all(namespace, _filter(identity, path))), None)
