"""The connection to the mongod behind the simulator: one for each client connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from producer.cosmos_simulator.wire import Command, decode_reply, encode_command, read_message

STREAM_BUFFER_BYTES = 4 * 1024 * 1024


class Upstream:
    """Opened with the first message, so that drivers' monitors cost mongod nothing.

    Raises OSError or IncompleteReadError when mongod is gone; the client's connection ends then.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, message: bytes) -> None:
        """Send a message that has no answer."""
        _, writer = await self._open()
        writer.write(message)
        await writer.drain()

    async def call(self, message: bytes) -> bytes:
        """Send a message and return the answer to it."""
        await self.send(message)
        reader, _ = await self._open()
        return await read_message(reader)

    async def command(self, database: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Run a command of the simulator's own; the answer one level deep, errors too."""
        body = {**document, "$db": database}
        return decode_reply(await self.call(encode_command(Command(0, 0, body))))

    def close(self) -> None:
        """Close the connection if it was opened."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                self._host, self._port, limit=STREAM_BUFFER_BYTES
            )
        return self._streams
