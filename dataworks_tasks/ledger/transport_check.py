"""Whether a Redis speaks TLS where its address does not say so, or the other way round.

A server without TLS waits for the rest of what it takes for a command, so a client with TLS finds
out only when it times out, and then it tries again.
"""

from __future__ import annotations

import socket
import ssl
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
_WAITS: dict[str, Any] = {
    "retry": Retry(NoBackoff(), 0),
    "socket_timeout": _PATIENCE_SECONDS,
    "socket_connect_timeout": _PATIENCE_SECONDS,
}


def check_transport(url: str, setting: str) -> None:
    """Raise SettingsError if only one of the address and the server uses TLS.

    It waits for two seconds. Every other error is left to the caller, which waits longer.
    """
    if url.startswith("rediss://"):
        wrong = not _answers(url) and _speaks_plain(*_host_and_port(url))
        fact = "does not use TLS, but the address asks for it"
        remedy = f"Write redis:// in {setting}, or give the server a TLS port"
    elif url.startswith("redis://"):
        wrong = not _answers(url) and _speaks_tls(*_host_and_port(url))
        fact = "accepts only TLS, but the address does not ask for it"
        remedy = f"Write rediss:// in {setting}; for your own authority, add ?ssl_ca_certs=FILE"
    else:
        return
    if wrong:
        raise SettingsError(f"Redis at {_shown(url)} {fact}", remedy)


def _answers(url: str) -> bool:
    with Redis.from_url(url, **_WAITS) as redis:
        try:
            redis.ping()
        except (RedisError, OSError):
            return False
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
