"""Notice that a run's collection is no longer the one that the run started with."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from dataworks_tasks.errors import NEW_RUN, RunFailed, SpecRefused
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.collection_facts import name_of_collection, read_collection
from dataworks_tasks.store.hello import ask_hello

_RECENT_SECONDS = 0.5
_RENAMED = "renamed to "

CheckCollection = Callable[[], None]
"""Raises RunFailed or SpecRefused when the collection is another one."""


class CollectionGuard:
    """Compares collections of one side, ``source`` or ``target``, with their UUIDs in the spec.

    ``server``: the server process that the producer reached, if known. A process that reaches it
    too, or has seen the run's collection before, knows that another UUID means another collection.
    Any other may have reached another server of the same name, and ``other_server_remedy`` says
    what to do then.
    """

    def __init__(
        self, client: BaseDatabaseClient, side: str, server: str | None, other_server_remedy: str
    ) -> None:
        self._client = client
        self._side = side
        self._server = server
        self._other_server_remedy = other_server_remedy
        self._seen: set[str] = set()
        self._checked_at: dict[str, float] = {}

    def checks(self, namespace: Namespace, uuid: str | None) -> CheckCollection:
        """Return the check before a cursor is opened; without a UUID it compares nothing.

        A check that this process has just made, such as the one at the end of another slice, is not
        repeated. Every slice is checked at its end in any case.
        """
        if uuid is None:
            return _nothing_to_check
        return partial(self._check_unless_recent, namespace, uuid)

    def _check_unless_recent(self, namespace: Namespace, uuid: str) -> None:
        checked_at = self._checked_at.get(uuid)
        if checked_at is None or time.monotonic() - checked_at > _RECENT_SECONDS:
            self.check(namespace, uuid)

    def check(self, namespace: Namespace, uuid: str | None) -> None:
        """Raise RunFailed when the collection was dropped, renamed or replaced since the run began.

        Raises SpecRefused if this process may have reached another server.
        """
        if uuid is None:
            return
        asked_at = time.monotonic()
        change = self.change_of(namespace, uuid)
        if change is None:
            self._seen.add(uuid)
            self._checked_at[uuid] = asked_at
            return
        if self._is_the_server(uuid):
            raise RunFailed(
                f"{namespace} at the {self._side} was {change} since the run began",
                self._remedy(is_renamed=change.startswith(_RENAMED)),
            )
        raise SpecRefused(
            f"{namespace} at the {self._side} is not the collection that the run began with: this "
            "process reaches another server of the same name, or the collection was replaced",
            self._other_server_remedy,
        )

    def change_of(self, namespace: Namespace, uuid: str) -> str | None:
        """Return what happened to the collection, as the end of a sentence; None: nothing."""
        found = read_collection(self._client, namespace)
        if found is not None and found.uuid == uuid:
            return None
        moved = name_of_collection(self._client, namespace.database, uuid)
        if moved is not None:
            self._seen.add(uuid)
            return f"{_RENAMED}{namespace.database}.{moved}"
        return "dropped" if found is None else "replaced by another collection of the same name"

    def _remedy(self, *, is_renamed: bool) -> str:
        if is_renamed:
            return "Give the collection its name back, or start another run with an empty target"
        if self._side == "source":
            return (
                f"Documents of both may be at the target: {NEW_RUN} and let it begin with an empty "
                "target"
            )
        return f"The documents written before are gone: {NEW_RUN}"

    def _is_the_server(self, uuid: str) -> bool:
        if uuid in self._seen:
            return True
        return self._server is not None and self._server == server_process(self._client)


def server_process(client: BaseDatabaseClient) -> str | None:
    """Return the id of the server process, which changes at each start; None: it has none."""
    hello = ask_hello(partial(client.command, "admin"))
    process = hello.get("topologyVersion", {}).get("processId")
    return None if process is None else str(process)


def _nothing_to_check() -> None:
    return None
