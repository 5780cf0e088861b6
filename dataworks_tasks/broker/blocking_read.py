"""End a worker's blocking read of its queues early.

Kombu waits for the reply before it closes a channel, so that no message is lost: up to a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Event
from typing import Any

from redis import Redis, RedisError

log = logging.getLogger(__name__)

worker_ends = Event()
"""Set when this worker is asked to stop. A channel that is closed for another reason, such as an
outage, must not wait for a Redis that may not answer."""


def end_blocking_read(client: Callable[[], AbstractContextManager[Redis]], connection: Any) -> None:
    """Ask Redis to answer the blocking read on ``connection`` now; ``client`` uses another one.

    Where that is not possible, the read ends by itself: an address was translated on the way, or
    the user's rights do not include ``CLIENT``.
    """
    try:
        address = _address(connection)
        if address is None:
            return
        with client() as redis:
            for other in redis.client_list(_type="normal"):
                if other["addr"] == address:
                    redis.client_unblock(int(other["id"]))
    except (RedisError, OSError) as error:
        log.debug("a blocking read is not ended early: %s", type(error).__name__)


def _address(connection: Any) -> str | None:
    """Return the connection's own address as Redis writes it; None without TCP, or if closed."""
    name = connection._sock.getsockname() if connection._sock else None
    if not isinstance(name, tuple):
        return None
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
