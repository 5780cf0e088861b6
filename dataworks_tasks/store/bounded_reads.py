"""Reads that are no older than a moment of the server's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bson.timestamp import Timestamp

from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classified

Bound = Callable[[], Timestamp | None]
"""Reads must not be older than this moment; None if the server supports no such bound."""


def find_at_least(
    client: BaseDatabaseClient,
    namespace: Namespace,
    query: Mapping[str, Any],
    at_least: Timestamp | None,
    **options: Any,
) -> Iterator[bytes]:
    """Raw batches of what a majority of nodes had at ``at_least`` or later.

    Neither an old primary in a partition nor a lagging secondary answers with less.
    """
    if at_least is None or not client.capabilities.majority_reads:
        yield from client.find_raw(namespace, query, **options)
        return
    _hear_of(client, at_least)
    with classified():
        session = client.mongo.start_session(causal_consistency=True)
    with session:
        session.advance_operation_time(at_least)
        yield from client.find_raw(namespace, query, session=session, committed=True, **options)


def now_at(client: BaseDatabaseClient) -> Timestamp | None:
    """Return the server's newest operation time, a bound for later reads; None: it has none."""
    if not client.capabilities.majority_reads:
        return None
    with classified(), client.mongo.start_session(causal_consistency=True) as session:
        client.mongo.admin.command("ping", session=session)
        client.newest_time = session.operation_time
        return session.operation_time


def _hear_of(client: BaseDatabaseClient, moment: Timestamp) -> None:
    """Make the driver know ``moment``: a lagging node learns it from the driver, and waits for it.

    A node refuses to wait for a moment that is unknown to both.
    """
    if client.newest_time is not None and client.newest_time >= moment:
        return
    newest = now_at(client)
    if newest is not None and newest < moment:
        raise StoreUnavailable(
            "the source's primary is behind the changes that were already read from it"
        )
