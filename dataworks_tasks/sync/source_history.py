"""How far back the change history of a MongoDB source reaches."""

from __future__ import annotations

from pymongo.errors import PyMongoError

from dataworks_tasks.store.client import BaseDatabaseClient


def oldest_change(source: BaseDatabaseClient) -> int | None:
    """Return the second of the oldest change that the source still has.

    None if it is unknown: only some users may read the oplog, and Azure has none.
    """
    if not source.capabilities.majority_reads:
        return None
    try:
        first = source.mongo["local"]["oplog.rs"].find_one({}, {"ts": 1}, sort=[("$natural", 1)])
    except PyMongoError:
        return None
    return int(first["ts"].time) if first else None
