"""A secondary that lags answers a bounded read with what is newer, or later: never with less."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson
import pymongo
import pytest
from bson.timestamp import Timestamp
from pydantic import SecretStr
from pymongo.write_concern import WriteConcern

from dataworks_tasks.documents.raw_bson import Element, find_element
from dataworks_tasks.ledger.key_windows import ClaimGrant, ClaimRequest
from dataworks_tasks.migrate.document_change import unchanged
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.create_client import create_database_client
from dataworks_tasks.sync.claims import Claim, boot_time
from dataworks_tasks.sync.reconcile import Hold, KeyRoute, Reconciled, reconcile
from dataworks_tasks.sync.target_keys import TargetCollection
from dataworks_tasks.sync.wanted import SourceDocuments
from producer.local.services import LocalServices
from tests.fleet import wait_until
from tests.support.replica_set import ReplicaSet

_FAILPOINT = "stopReplProducer"
SOURCE, TARGET = Namespace("shop", "orders"), Namespace("copy", "orders")
OLD = [{"_id": 1, "n": "old"}, {"_id": 2, "n": "deleted later"}]
NEW = [{"_id": 1, "n": "new"}, {"_id": 3, "n": "inserted later"}]
KEYS = [element for n in (1, 2, 3) if (element := find_element(bson.encode({"_id": n}), b"_id"))]


class LaggingSource:
    """A replica set whose client prefers a secondary that has stopped to replicate."""

    def __init__(self, services: LocalServices) -> None:
        self._servers = ReplicaSet(services, arguments=("--setParameter", "enableTestCommands=1"))
        self.name = next(name for name in self._servers.names if name != self._servers.primary())
        with pymongo.MongoClient[dict[str, Any]](self._servers.url) as client:
            config = client.admin.command("replSetGetConfig")["config"]
            config["version"] += 1
            config["members"][self._servers.names.index(self.name)]["tags"] = {"is": "slow"}
            client.admin.command("replSetReconfig", config)
            everywhere = WriteConcern(len(self._servers.names))
            for namespace in (SOURCE, TARGET):
                collection = client[namespace.database][namespace.collection]
                collection.with_options(write_concern=everywhere).insert_many(OLD)
            with self._servers.directly(self.name) as slow:
                self._stop(client, slow)
            self.newest = self._change(client)
        preferred = "readPreference=secondaryPreferred&readPreferenceTags=is:slow"
        self.url = f"{self._servers.url}&{preferred}"

    def _stop(
        self, client: pymongo.MongoClient[dict[str, Any]], slow: pymongo.MongoClient[dict[str, Any]]
    ) -> None:
        """Have the secondary replicate nothing more, and wait until it does not."""
        slow.admin.command({"configureFailPoint": _FAILPOINT, "mode": "alwaysOn"})
        client["other"]["documents"].insert_one({})  # it looks at the failpoint when there is news
        slow.admin.command({"waitForFailPoint": _FAILPOINT, "timesEntered": 1, "maxTimeMS": 500})

    def _change(self, client: pymongo.MongoClient[dict[str, Any]]) -> Timestamp:
        orders = client[SOURCE.database].get_collection(
            SOURCE.collection, write_concern=WriteConcern("majority")
        )
        with client.start_session() as session:
            orders.update_one({"_id": 1}, {"$set": {"n": "new"}}, session=session)
            orders.delete_one({"_id": 2}, session=session)
            orders.insert_one(NEW[1], session=session)
            assert session.operation_time is not None
            return session.operation_time

    def replicates(self) -> None:
        """Let the secondary catch up."""
        with self._servers.directly(self.name) as slow:
            slow.admin.command({"configureFailPoint": _FAILPOINT, "mode": "off"})

    def is_asked(self) -> bool:
        """Whether a read of the collection waits at the secondary."""
        with self._servers.directly(self.name) as slow:
            found = slow.admin.aggregate(
                [{"$currentOp": {}}, {"$match": {"command.find": SOURCE.collection}}]
            )
            return bool(list(found))


@pytest.fixture
def lagging(own_services: LocalServices) -> LaggingSource:
    return LaggingSource(own_services)


@contextmanager
def opened(url: str) -> Iterator[BaseDatabaseClient]:
    with create_database_client(DatabaseConfig(connection_string=SecretStr(url))) as client:
        mongo: pymongo.MongoClient[dict[str, Any]] = client.mongo
        client.server_info()
        # Until the driver knows the secondaries, it reads from the primary.
        wait_until(lambda: len(mongo.secondaries) == 2, "the driver knows the secondaries")
        yield client


def reconciled(client: BaseDatabaseClient, bound: Timestamp | None) -> Reconciled:
    request = ClaimRequest(0, b"", "holder", 60, 0)
    claim = Claim(request, ClaimGrant(1, False), boot_time() + 60)
    route = KeyRoute(
        SourceDocuments(client, SOURCE),
        unchanged,
        TargetCollection(client, TARGET, "majority"),
        lambda: bound,
    )
    keys: list[Element] = KEYS
    return reconcile(route, keys, Hold(claim, None))


def at_the_target(client: BaseDatabaseClient) -> list[dict[str, Any]]:
    found: pymongo.MongoClient[dict[str, Any]] = client.mongo
    return sorted(
        found[TARGET.database]
        .get_collection(TARGET.collection, read_preference=pymongo.ReadPreference.PRIMARY)
        .find(),
        key=lambda document: int(document["_id"]),
    )


def test_a_window_is_reconciled_with_what_is_as_new_as_its_bound(lagging: LaggingSource) -> None:
    with opened(lagging.url) as client:
        # Without a bound the secondary answers at once, both times with what was there before.
        assert not reconciled(client, None).changed
        assert at_the_target(client) == OLD
        outcomes: list[Reconciled] = []
        work = threading.Thread(target=lambda: outcomes.append(reconciled(client, lagging.newest)))
        work.start()
        wait_until(lambda: lagging.is_asked() or not work.is_alive(), "the secondary is asked")
        assert at_the_target(client) == OLD
        lagging.replicates()
        work.join()
        assert [(each.changed, each.failures) for each in outcomes] == [([], [])]
        assert at_the_target(client) == NEW
