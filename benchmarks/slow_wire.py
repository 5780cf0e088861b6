"""A wire with latency: a TCP proxy that holds back every byte for a while, at any rate."""

from __future__ import annotations

import queue
import socket
import threading
import time
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 1 << 20
_Delayed = queue.SimpleQueue[tuple[float, bytes]]


class SlowWire:
    """Listens on loopback and passes bytes on to the server of ``url``; a context manager.

    ``delay_seconds`` is what bytes wait in each direction, so a round trip takes twice that. Bytes
    do not wait for those before them: throughput stays as it is. It may be set at any time.
    """

    def __init__(self, url: str) -> None:
        self.delay_seconds = 0.0
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"no host and port in {url}")
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"127.0.0.1:{port}"))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:  # closed
                return
            there = socket.create_connection(self._server)
            for end in (here, there):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target in ((here, there), (there, here)):
                waiting: _Delayed = queue.SimpleQueue()
                for work in (self._read, self._write):
                    ends = (source, target, waiting)
                    threading.Thread(target=work, args=ends, daemon=True).start()

    def _read(self, source: socket.socket, _: socket.socket, waiting: _Delayed) -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            waiting.put((time.monotonic() + self.delay_seconds, data))

    def _write(self, _: socket.socket, target: socket.socket, waiting: _Delayed) -> None:
        while True:
            due, data = waiting.get()
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            try:
                if data:
                    target.sendall(data)
                else:
                    target.shutdown(socket.SHUT_RDWR)
            except OSError:
                return
            if not data:
                return
