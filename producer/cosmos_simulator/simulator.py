"""The complete simulator: a TCP proxy on its own thread."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from weakref import WeakSet

from pymongo.errors import InvalidURI
from pymongo.uri_parser import parse_uri

from dataworks_tasks.errors import SettingsError
from producer.cosmos_simulator.account import Account
from producer.cosmos_simulator.budget import RequestUnitBudget, SimulatorStatistics
from producer.cosmos_simulator.catalog import Catalog
from producer.cosmos_simulator.change_streams import ChangeStreams
from producer.cosmos_simulator.client_connection import ClientConnection
from producer.cosmos_simulator.config import Service, SimulatorConfig
from producer.cosmos_simulator.faults import Faults
from producer.cosmos_simulator.result_pages import ResultPages
from producer.cosmos_simulator.upstream import STREAM_BUFFER_BYTES, Upstream


class CosmosSimulator:
    """Behaves like Cosmos DB for MongoDB (RU) in front of a mongod.

    ``start()`` returns the URL when the port is open; ``stop()`` closes every connection. It is a
    context manager as well. Raises SettingsError for a target it cannot read and OSError when the
    port is taken.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self._target = _host_and_port(config.target)
        self._budget = RequestUnitBudget(config.ru_per_second)
        self._started: Future[int] = Future()
        self._request_stop: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, name="cosmos-simulator", daemon=True)

    @property
    def url(self) -> str:
        """The connection string: no credentials; TLS only when certificates were given."""
        tls = "&tls=true" if self.config.tls else ""
        if self.config.service is Service.AZURE_DOCUMENTDB:
            return f"mongodb://{self._address()}/?retrywrites=false{tls}"
        return f"mongodb://{self._address()}/?replicaSet=globaldb&retrywrites=false{tls}"

    def statistics(self) -> SimulatorStatistics:
        """Return what was charged and refused so far; also after ``stop()``."""
        return self._budget.statistics()

    def start(self) -> str:
        """Open the port and serve; return the URL."""
        self._thread.start()
        self._started.result()
        return self.url

    def stop(self) -> None:
        """Close the port and every connection, and wait for that, if it is running."""
        if self._request_stop is not None and self._thread.is_alive():
            self._request_stop()
            self._thread.join()

    def __enter__(self) -> CosmosSimulator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _address(self) -> str:
        return f"{self.config.host}:{self._started.result()}"

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:  # the port is taken, or a certificate cannot be read
            if self._started.done():
                raise
            self._started.set_exception(error)
        finally:
            self._started.cancel()  # start() must not wait, whatever ended this before

    async def _serve(self) -> None:
        loop, stop_requested = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()
        transports: WeakSet[asyncio.WriteTransport] = WeakSet()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = ClientConnection(account, Upstream(*self._target), (reader, writer))
            transports.add(writer.transport)
            task = asyncio.ensure_future(connection.serve())
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(
            accept,
            self.config.host,
            self.config.port,
            limit=STREAM_BUFFER_BYTES,
            ssl=_tls_context(self.config),
        )
        port: int = server.sockets[0].getsockname()[1]
        catalog = Catalog(partitioned_ids=self.config.partitioned_ids)
        account = Account(
            self.config,
            f"{self.config.host}:{port}",
            self._budget,
            Faults(self.config.faults),
            catalog,
            ResultPages(),
            ChangeStreams(
                catalog, self.config.physical_partitions, self.config.change_history_bytes
            ),
        )
        self._request_stop = partial(loop.call_soon_threadsafe, stop_requested.set)
        self._started.set_result(port)
        await stop_requested.wait()
        await _turns()  # Python 3.13 fails on a connection that is being accepted now
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        # A task that has not begun closes nothing, and a client may not read the rest.
        for transport in transports:
            transport.abort()
        await _turns()


async def _turns() -> None:
    """Let the loop do what is due: a connection takes three turns to accept, one to close."""
    for _ in range(5):
        await asyncio.sleep(0)


def _host_and_port(target: str) -> tuple[str, int]:
    """Return the first host of a MongoDB URL."""
    remedy = "Give the target as mongodb://host:port, without credentials"
    try:
        parsed = parse_uri(target)
    except (InvalidURI, ValueError) as error:
        raise SettingsError("the simulator's target is not a MongoDB URL", remedy) from error
    if parsed["username"]:
        raise SettingsError("the simulator's target holds credentials", remedy)
    host, port = parsed["nodelist"][0]
    if port is None:
        raise SettingsError("the simulator's target is a unix socket", remedy)
    return host, port


def _tls_context(config: SimulatorConfig) -> ssl.SSLContext | None:
    if config.tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.tls.certificate, config.tls.key)
    return context
