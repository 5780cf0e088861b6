"""A replica set of three on this machine, whose elections take a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from signal import SIGCONT, SIGSTOP
from typing import Any

import psutil
import pymongo
from pymongo.errors import PyMongoError

from producer.local.services import LocalServices
from tests.fleet import wait_until
from tests.support.mongod_variant import MongodVariant

NAME = "three"


class ReplicaSet:
    """Starts its members among ``services``, and waits until one is primary.

    ``by_way_of``: the port that members and clients reach a member's own port by.
    """

    def __init__(
        self,
        services: LocalServices,
        election_milliseconds: int = 1000,
        name: str = "mongod",
        arguments: tuple[str, ...] = (),
        by_way_of: Callable[[int], int] = lambda port: port,
    ) -> None:
        self._services = services
        self.names = tuple(f"{name}-{number}" for number in range(3))
        arguments = ("--replSet", NAME, *arguments)
        servers = services.start(*(MongodVariant(arguments, name) for name in self.names))
        self._hosts = {
            server.name: f"127.0.0.1:{by_way_of(server.site.port)}" for server in servers
        }
        members = [
            {"_id": number, "host": host} for number, host in enumerate(self._hosts.values())
        ]
        settings = {"electionTimeoutMillis": election_milliseconds, "heartbeatIntervalMillis": 200}
        config = {"_id": NAME, "members": members, "settings": settings}
        with self.directly(self.names[0]) as client:
            client.admin.command("replSetInitiate", config)
        wait_until(self._first_primary, "the first member is primary")

    @property
    def url(self) -> str:
        """The address of all three."""
        return f"mongodb://{','.join(self._hosts.values())}/?replicaSet={NAME}"

    def primary(self, among: Iterable[str] | None = None) -> str | None:
        """Return the name of the member that says it is primary."""
        for name in among or self.names:
            with suppress(PyMongoError), self.directly(name) as client:
                if client.admin.command("hello")["isWritablePrimary"]:
                    return name
        return None

    def wait_for_primary(self, among: Iterable[str] | None = None) -> str:
        """Return the primary, as soon as there is one."""
        wanted = list(among or self.names)
        found: str = wait_until(lambda: self.primary(wanted), "a primary is elected")
        return found

    def suspend(self, names: Iterable[str]) -> None:
        """SIGSTOP."""
        for name in names:
            psutil.Process(self._services.pids()[name]).send_signal(SIGSTOP)

    def wake(self, names: Iterable[str]) -> None:
        """SIGCONT."""
        for name in names:
            psutil.Process(self._services.pids()[name]).send_signal(SIGCONT)

    def _first_primary(self) -> bool:
        """Whether the first member is primary; it is asked to be, so that no timeout must pass."""
        with suppress(PyMongoError), self.directly(self.names[0]) as client:
            client.admin.command("replSetStepUp")
        return self.primary(self.names[:1]) is not None

    def directly(self, name: str) -> pymongo.MongoClient[dict[str, Any]]:
        """Return a client of one member."""
        return pymongo.MongoClient(
            f"mongodb://{self._hosts[name]}/?directConnection=true",
            serverSelectionTimeoutMS=500,
            socketTimeoutMS=1000,
        )
