"""Translate a broker's failures: nothing was sent, or it is unknown whether it was; try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from dataworks_tasks.errors import LedgerUnavailable
from dataworks_tasks.ledger.redis_steps import cannot_write_disk, is_full, refused


@contextmanager
def broker_errors() -> Iterator[None]:
    """Raise what kombu and redis-py raise as LedgerUnavailable."""
    try:
        yield
    except (OperationalError, RedisError, OSError) as error:
        # Kombu raises its own error from that of redis-py.
        for cause in (error, error.__cause__):
            if isinstance(cause, RedisError) and (is_full(cause) or cannot_write_disk(cause)):
                raise refused(cause) from None
        raise LedgerUnavailable(f"the broker does not answer: {error}") from None
    except AttributeError as error:
        # If Redis goes away while kombu (5.7) declares the queue, kombu reconnects, but then
        # publishes on the channel that it closed for that, which has no connection.
        if error.obj is not None or error.name != "client":
            raise
        raise LedgerUnavailable("the broker does not answer: its channel is closed") from None
