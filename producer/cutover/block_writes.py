"""Make a server refuse the writes of users, and allow them again."""

from __future__ import annotations

from pymongo.errors import OperationFailure, PyMongoError

from dataworks_tasks.errors import RunFailed, UsageError
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.driver_errors import classify

_UNAUTHORIZED, _UNKNOWN_COMMAND = 13, 59
_WAITED_TOO_LONG = frozenset({50, 262})
ALLOW_WRITES = "db.adminCommand({setUserWriteBlockMode: 1, global: false})"
"""What a person types to remove the block."""
_LONGEST_MILLISECONDS = 90_000
"""The server waits for open transactions, which live for 60 seconds by default."""


class CannotBlock(UsageError):
    """The server cannot block writes for this user, so no block has to be removed."""


def block_writes(server: BaseDatabaseClient) -> None:
    """Block writes. Raises CannotBlock or RunFailed, with advice, if the server cannot.

    After any other error, or an interrupt, the server may still be about to block them.
    """
    _set_block(server, blocked=True)


def allow_writes(server: BaseDatabaseClient) -> None:
    """Remove the block."""
    _set_block(server, blocked=False)


def _set_block(server: BaseDatabaseClient, *, blocked: bool) -> None:
    command = {
        "setUserWriteBlockMode": 1,
        "global": blocked,
        "maxTimeMS": _LONGEST_MILLISECONDS,
    }
    try:
        # Its answer takes as long as the longest transaction.
        server.without_timeout.admin.command(command)
    except OperationFailure as error:
        if error.code == _UNAUTHORIZED:
            raise CannotBlock(
                "the source's user may not run setUserWriteBlockMode",
                'Grant it: db.grantRolesToUser(USER, [{"role": "hostManager", "db": "admin"}]), '
                "or stop the writers yourself and leave --block-writes out",
            ) from None
        if error.code == _UNKNOWN_COMMAND:
            raise CannotBlock(
                "the source cannot block writes: that takes MongoDB 6.0 or newer",
                "Stop the writers yourself and leave --block-writes out",
            ) from None
        if error.code in _WAITED_TOO_LONG:
            raise RunFailed(
                "the source did not block writes: transactions stayed open for too long",
                "Stop the clients that hold them open, then repeat the cut-over",
            ) from None
        raise classify(error) from None
    except PyMongoError as error:
        raise classify(error) from None
