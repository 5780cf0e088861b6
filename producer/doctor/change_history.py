"""Whether a migration can follow this source, and how far its history reaches back."""

from __future__ import annotations

from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classify
from producer.doctor.check import Check
from producer.start.history_window import history_seconds

_NAME = "source changes"


def change_history(client: BaseDatabaseClient) -> Check:
    """Return what ``migrate --follow`` would find. Only following needs it, so it never fails."""
    if not client.capabilities.majority_reads:
        return Check(
            _NAME, ok=True, found="no change streams: migrate --follow needs a replica set"
        )
    database = client.database(client.config.database_name or "admin")
    stream: dict[str, Any] = {"$changeStream": {}}
    if not client.config.database_name:
        stream = {"$changeStream": {"allChangesForCluster": True}}
    try:
        database.aggregate([stream], batchSize=0).close()
    except OperationFailure as error:
        return Check(_NAME, ok=True, found=f"the user may not read them (code {error.code})")
    except PyMongoError as error:
        raise classify(error) from None
    return Check(_NAME, ok=True, found=f"can be followed; {_reach(client)}")


def _reach(client: BaseDatabaseClient) -> str:
    """Return how far the history reaches back; only some users may read that."""
    seconds = history_seconds(client)
    if seconds is None:
        return "the server does not say how far its history reaches back, or it is still growing"
    return f"the history reaches back {seconds / 3600:,.1f} h"
