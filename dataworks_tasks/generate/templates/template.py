"""A template: the collections a generation run fills, and the documents in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dataworks_tasks.errors import UsageError
from dataworks_tasks.generate.fields.model import Record
from dataworks_tasks.generate.templates.template_source import capacities
from dataworks_tasks.generate.templates.unique_indexes import REFUSED, repeated_keys
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.bounds import MAX_DOCUMENTS


@dataclass(frozen=True, eq=False)
class CollectionTemplate:
    """One collection: where it goes, how many documents, what is in them.

    ``name`` is its identity, from which ids and values are made: the database (where given) and
    collection of the template, whatever a run calls them. ``indexes`` are ready for the
    ``createIndexes`` command; ``aggregators`` are computed after the insert.
    """

    name: str
    database: str
    collection: str
    count: int | None
    indexes: tuple[Mapping[str, Any], ...]
    compression_level: str
    shard_config: Mapping[str, Any] | None
    aggregators: tuple[Mapping[str, Any], ...]
    content: Record
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the ``create`` command."""


@dataclass(frozen=True, eq=False)
class Template:
    """The content of ``document``, the JSON value embedded in a run's spec.

    ``notes`` are lines about parts of it that are ignored.
    """

    name: str
    description: str
    collections: tuple[CollectionTemplate, ...]
    document: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def check_total(self, position: int, total: int) -> None:
        """Refuse more documents than a unique field of collection ``position`` has values.

        Raises UsageError with the field and both numbers.
        """
        collection = self.collections[position]
        for path, most in capacities(collection.content):
            if total > most:
                raise UsageError(
                    f"{path} of {collection.name} has {counted(most, 'different value')}, "
                    f"and the run asks for {counted(total, 'document')}",
                    "Give the field a wider range, or ask for fewer documents",
                )
        id_ = collection.content.fields["_id"].variety()
        if id_ is not None and total > id_.period:
            raise UsageError(
                f"_id of {collection.name} repeats after {id_.period:,} documents, "
                f"and the run asks for {total:,}",
                "Ask for fewer documents, or for more in the collection that _id is copied from",
            )
        self._check_indexes(collection, total)
        if total > MAX_DOCUMENTS:
            raise UsageError(
                f"{total:,} documents are more than a run can have",
                f"Ask for {MAX_DOCUMENTS:,} documents at most",
            )

    @staticmethod
    def _check_indexes(collection: CollectionTemplate, total: int) -> None:
        filled_later = {str(request["target"]) for request in collection.aggregators}
        for name, repeats, remedy in repeated_keys(
            collection.content, collection.indexes, filled_later, total
        ):
            if repeats >= REFUSED:
                raise UsageError(
                    f"the unique index {name!r} of {collection.name} cannot be built: about "
                    f"{repeats:,.0f} of {counted(total, 'document')} would repeat a value",
                    remedy[0].upper() + remedy[1:],
                )
