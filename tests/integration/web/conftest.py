"""A web server on a ledger of the test's own."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from pydantic import SecretStr

from dataworks_tasks.ledger.redis_ledger import RedisLedger
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.web.options import RequestedOptions, check_options
from producer.web.server import serve
from tests.support.json_output import check_answer

PASSWORD = "correct-horse-battery"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found


class Visitor:
    """Asks the server; keeps cookies as a browser does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host = urlsplit(url).netloc
        self.cookies: dict[str, str] = {}

    def ask(
        self,
        path: str,
        form: Mapping[str, str] | None = None,
        **headers: str,
    ) -> Answer:
        """GET ``path``, or POST ``form`` to it. ``headers``: with ``_`` for ``-``."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form)
        connection.request("GET" if form is None else "POST", path, body, sent)
        reply = connection.getresponse()
        answer = Answer(reply.status, dict(reply.getheaders()), reply.read().decode())
        for cookie in reply.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        if path.startswith("/api/") and "json" in answer.headers.get("Content-Type", ""):
            check_answer(path, answer.status, answer.json)
        return answer

    def post(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """POST as the page's own form would, with its token and origin."""
        if "_xsrf" not in self.cookies:
            self.ask("/sign-in")
        origin = {"Origin": f"http://{self.host}", **headers}
        return self.ask(path, {**(form or {}), "_xsrf": self.cookies["_xsrf"]}, **origin)


Serve = Callable[..., Visitor]


@pytest.fixture
def ledger(redis_url: str) -> Iterator[RedisLedger]:
    """Yield the ledger that the pages show."""
    import redis

    with redis.Redis.from_url(redis_url) as client:
        yield RedisLedger(client)


@pytest.fixture
def serve_pages(redis_url: str) -> Iterator[Serve]:
    """Start a server with the options of ``RequestedOptions``; it is gone after the test.

    ``config``: its settings, if the ledger's address is not enough.
    """
    running: list[_Server] = []

    def start(config: FrameworkConfig | None = None, **options: Any) -> Visitor:
        settings = config or FrameworkConfig(broker_url=SecretStr(redis_url))
        server = _Server(settings, RequestedOptions("127.0.0.1:0", **options))
        running.append(server)
        return Visitor(server.url)

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """Return a file with a password that only its owner may read."""
    path = tmp_path / "password"
    path.touch(0o600)
    path.write_text(PASSWORD + "\n")
    return path


class _Server:
    def __init__(self, config: FrameworkConfig, requested: RequestedOptions) -> None:
        self._config = config
        self._options = check_options(requested)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self.url = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def _run(self) -> None:
        with Connections(self._config) as connections:
            self._loop.run_until_complete(
                serve(connections, self._options, self._stopped, self._began)
            )

    def _began(self, url: str) -> None:
        self.url = url
        self._ready.set()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(20)
        self._loop.close()
