"""A namespace: database and collection."""

from __future__ import annotations

from typing import NamedTuple

from dataworks_tasks.errors import UsageError

BUCKETS = "system.buckets."
"""Where a server keeps the documents of a time series."""


class Namespace(NamedTuple):
    """A collection and its database; written ``database.collection``."""

    database: str
    collection: str

    def __str__(self) -> str:
        return f"{self.database}.{self.collection}"

    @classmethod
    def parse(cls, text: str) -> Namespace:
        """Read ``database.collection``; the collection's name may hold dots, the database's not.

        Raises UsageError when one of the two is missing.
        """
        database, dot, collection = text.partition(".")
        if not (database and dot and collection):
            raise UsageError(
                f"{text!r} is not a namespace", "Write DATABASE.COLLECTION, for example shop.orders"
            )
        return cls(database, collection)


def series_of_buckets(namespace: Namespace) -> Namespace:
    """Return the time series that a buckets collection belongs to; other names unchanged."""
    return Namespace(namespace.database, namespace.collection.removeprefix(BUCKETS))
