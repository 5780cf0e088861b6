"""Whether a Redis speaks TLS where its address does not say so, or the other way round.

A server without TLS waits for the rest of what it takes for a command, so a client with TLS finds
out only when it times out, and then it tries again.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from dataworks_tasks.errors import SettingsError

_PORT = 6379
_PATIENCE_SECONDS = 2.0
"""A server that is reachable answers within milliseconds; a slow one is asked again later."""
_ONCE = Retry(NoBackoff(), 0)
_WAITS: dict[str, Any] = {
    "socket_timeout": _PATIENCE_SECONDS,
    "socket_connect_timeout": _PATIENCE_SECONDS,
}


def check_transport(url: str, setting: str, redis: Redis | None = None) -> None:
    """Raise SettingsError if only one of the address and the server uses TLS.

    ``redis``: a client of the address, used where its longer timeout does no harm. Every other
    error is left to the caller, which waits longer.
    """
    if url.startswith("rediss://"):
        with Redis.from_url(url, **_WAITS) as hasty:
            wrong = not _answers(hasty) and _speaks_plain(*_host_and_port(url))
        fact = "speaks no TLS, and the address asks for it"
        remedy = f"Write redis:// in {setting}, or give the server a TLS port"
    elif url.startswith("redis://"):
        with nullcontext(redis) if redis else Redis.from_url(url, **_WAITS) as asked:
            wrong = not _answers(asked) and _speaks_tls(*_host_and_port(url))
        fact = "accepts TLS only, and the address does not ask for it"
        remedy = f"Write rediss:// in {setting}; for an authority of your own: ?ssl_ca_certs=FILE"
    else:
        return
    if wrong:
        raise SettingsError(f"Redis at {_shown(url)} {fact}", remedy)


def _answers(redis: Redis) -> bool:
    """Return whether the first attempt succeeds."""
    patient = redis.get_retry()
    redis.set_retry(_ONCE)
    try:
        redis.ping()
    except (RedisError, OSError):
        return False
    finally:
        redis.set_retry(patient or _ONCE)
    return True


def _speaks_plain(host: str, port: int) -> bool:
    """Return whether the server answers a command as Redis does, even with a refusal."""
    try:
        with socket.create_connection((host, port), _PATIENCE_SECONDS) as server:
            server.sendall(b"PING\r\n")
            return server.recv(1) in {b"+", b"-"}
    except OSError:
        return False


def _speaks_tls(host: str, port: int) -> bool:
    """Return whether the server takes part in a handshake; nothing is sent to it after that."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), _PATIENCE_SECONDS) as server,
            context.wrap_socket(server, server_hostname=host) as secured,
        ):
            return secured.version() is not None
    except ssl.SSLError as error:
        return "alert" in str(error).lower()
    except OSError:
        return False


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "localhost", parts.port or _PORT


def _shown(url: str) -> str:
    """Return scheme, host and port: what a message may say about an address."""
    host, port = _host_and_port(url)
    return f"{url.partition('://')[0]}://{f'[{host}]' if ':' in host else host}:{port}"
