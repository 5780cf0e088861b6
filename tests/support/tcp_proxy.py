"""A TCP proxy with dials: latency, stalls, resets, and a black hole."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

_T = TypeVar("_T")
_CHUNK = 64 * 1024


class TcpProxy:
    """Listens on loopback and passes bytes to ``address``; a context manager.

    ``latency_seconds``: what each chunk waits, in both directions. ``stalled``: nothing moves, and
    connections stay open. ``black_hole``: bytes are taken and thrown away. All may be set at any
    time from any thread. With ``tls`` its clients speak TLS and the server behind it does not.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._address = (host, port)
        self._tls = tls
        self.latency_seconds = 0.0
        self.stalled = False
        self.black_hole = False
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    @classmethod
    def before(cls, url: str, tls: ssl.SSLContext | None = None) -> Self:
        """Return a proxy in front of the server of ``url``."""
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        return cls(parts.hostname, parts.port, tls)

    def url(self, url: str) -> str:
        """``url`` by way of the proxy."""
        return urlunsplit(urlsplit(url)._replace(netloc=f"127.0.0.1:{self.port}"))

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self._server = self._call(listening)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> None:
        """Cut every connection with RST."""
        self._call(self._reset())

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        done = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(10)

    async def _end(self) -> None:
        for _ in range(5):  # Python 3.13 stumbles over what is being accepted at the close
            await asyncio.sleep(0)
        self._server.close()
        await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _reset(self) -> None:
        for writer in list(self._writers):
            end = writer.get_extra_info("socket")
            if end is not None:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._address)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            return
        ends = {writer, there_writer}
        self._writers |= ends
        passing = [
            asyncio.create_task(self._pass_on(reader, there_writer)),
            asyncio.create_task(self._pass_on(there_reader, writer)),
        ]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            return  # Python 3.11 prints a traceback for each connection that ends as cancelled
        finally:
            for task in passing:
                task.cancel()
            for end in ends:
                end.transport.abort()
            self._writers -= ends

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK):
                while self.stalled:
                    await asyncio.sleep(0.02)
                if self.latency_seconds:
                    await asyncio.sleep(self.latency_seconds)
                if not self.black_hole:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            return
