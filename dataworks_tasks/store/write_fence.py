"""Writes that a server refuses once another process has begun to write in the same session.

Every write names the session of its key window and a transaction number made of the claim and the
command. A server that saw a larger number answers ``TransactionTooOld`` (225), so a write that was
on its way when its process lost the claim changes nothing when it arrives.
https://www.mongodb.com/docs/manual/core/retryable-writes/
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from bson.binary import Binary
from bson.int64 import Int64
from pymongo.client_session import ClientSession

from dataworks_tasks.documents.raw_bson import TOLERANT
from dataworks_tasks.failpoints import failpoint
from dataworks_tasks.store.client import BaseDatabaseClient

TRANSACTION_TOO_OLD = 225
_COMMAND_BITS = 20
MOST_COMMANDS = 1 << _COMMAND_BITS


class WriteFence:
    """The session and the transaction numbers of one claim.

    The server does not execute a number a second time, so every command takes a new one.
    """

    def __init__(self, session_id: bytes, claim: int) -> None:
        self.session_id = session_id
        self._claim = claim
        self._commands = 0

    def next_number(self) -> Int64:
        """Return the transaction number of the next command."""
        self._commands += 1
        if self._commands >= MOST_COMMANDS:
            raise ValueError("a claim has no transaction numbers left")
        return Int64(self._claim << _COMMAND_BITS | self._commands)


class _FencedSession:
    """The driver's record of a session, with our own id.

    The driver (4.10 and 4.20 were read) takes the id from here, and drops the object at the end
    because it is ``dirty``: the id must not serve other commands.
    """

    dirty = True
    generation = -1

    def __init__(self, session_id: bytes) -> None:
        self.session_id = {"id": Binary(session_id, 4)}
        self.last_use = time.monotonic()

    def mark_dirty(self) -> None:
        """Do nothing: the object is dirty from the start."""

    @property
    def transaction_id(self) -> NoReturn:
        raise RuntimeError("the command brings its own transaction number")


def fenced_command(
    client: BaseDatabaseClient, database: str, command: Mapping[str, Any], fence: WriteFence | None
) -> dict[str, Any]:
    """Run a write command behind the fence; without a fence, run it unchanged.

    Raises the driver's errors.
    """
    where = client.database(database)
    if fence is None:
        return where.command(dict(command), codec_options=TOLERANT)
    with _session(client, fence) as session:
        numbered = {**command, "txnNumber": fence.next_number()}
        return where.command(numbered, codec_options=TOLERANT, session=session)


def fenced_transaction(
    client: BaseDatabaseClient, database: str, command: Mapping[str, Any], fence: WriteFence
) -> dict[str, Any]:
    """Run a write command as one transaction behind the fence. Raises the driver's errors.

    Nothing is written when the reply has ``writeErrors``. As statements of their own, 1,000 writes
    also cost the server 1,000 updates of the session's record: half of its work.
    """
    where, options = client.database(database), ("writeConcern", "maxTimeMS")
    with _session(client, fence) as session:
        part = {"txnNumber": fence.next_number(), "autocommit": False}
        write = {name: value for name, value in command.items() if name != "writeConcern"}
        begun = {**write, **part, "startTransaction": True}
        reply = where.command(begun, codec_options=TOLERANT, session=session)
        if reply.get("writeErrors"):
            return reply
        failpoint("reconcile-commit.before")
        commit = {"commitTransaction": 1, **{name: command[name] for name in options}, **part}
        return client.database("admin").command(commit, codec_options=TOLERANT, session=session)


@contextmanager
def _session(client: BaseDatabaseClient, fence: WriteFence) -> Iterator[ClientSession]:
    with client.mongo.start_session(causal_consistency=False) as session:
        session._server_session = _FencedSession(fence.session_id)
        yield session
