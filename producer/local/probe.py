"""Whether a server is ready: one request over a plain socket.

Clients are not used for this: their connection retries turn milliseconds of waiting into half a
second.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import bson

from producer.local.service_definition import LOOPBACK

TIMEOUT_SECONDS = 2.0
# From the MongoDB wire protocol: int32 length, request id, response to, opcode.
HEADER = struct.Struct("<iiii")
OP_MSG = 2013
MSG_PREFIX = b"\0\0\0\0\0"  # flag bits, and one section of kind 0


def redis_answers(port: int) -> bool:
    """Return whether a Redis or Valkey serves commands; False while it loads its data."""
    try:
        with _connect(port) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def http_answers(port: int, path: str) -> bool:
    """Return whether ``GET path`` answers with status 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n"
    try:
        with _connect(port) as connection:
            connection.sendall(request.encode())
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def run_mongo_command(port: int, command: dict[str, Any]) -> dict[str, Any] | None:
    """Run ``command`` on ``admin``; None if mongod does not answer."""
    body = MSG_PREFIX + bson.encode({**command, "$db": "admin"})
    try:
        with _connect(port) as connection:
            connection.sendall(HEADER.pack(HEADER.size + len(body), 1, 0, OP_MSG) + body)
            length = HEADER.unpack(_receive(connection, HEADER.size))[0]
            answer = _receive(connection, length - HEADER.size)
    except OSError:
        return None
    return bson.decode(answer[len(MSG_PREFIX) :])


def _connect(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_SECONDS)


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionResetError("the server closed the connection")
        received += part
    return received
