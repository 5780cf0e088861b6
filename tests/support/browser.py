"""A headless Chromium, driven by its debugging protocol."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Self

import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.fleet import wait_until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
_SECONDS = 30.0


def chromium() -> str:
    """Return the path of Chromium; without one, skip the test, or fail it in CI."""
    if CHROMIUM is None:
        message = "no Chromium here: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return CHROMIUM


def axe_source(folder: Path) -> str:
    """Download the accessibility checker axe-core from npm; skip the test without it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here, which fetches axe-core")
    done = subprocess.run(
        [npm, "pack", "--silent", "axe-core@4"], cwd=folder, capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("the npm registry does not answer")
    [archive] = folder.glob("axe-core-*.tgz")
    with tarfile.open(archive) as files:
        found = files.extractfile("package/axe.min.js")
        assert found is not None
        return found.read().decode()


class Browser:
    """One page in a browser of its own; a context manager.

    ``errors``: what the page wrote to its console as an error. ``requested``: every address that
    it asked for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: WebSocketClientConnection | None = None
        self._number = 0
        self.errors: list[str] = []
        self.requested: list[str] = []

    def __enter__(self) -> Self:
        command = [chromium(), *_QUIET, f"--user-data-dir={self._folder}", "about:blank"]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        port_file = self._folder / "DevToolsActivePort"
        wait_until(lambda: port_file.exists() and port_file.read_text().count("\n"), "it listens")
        port = port_file.read_text().splitlines()[0]
        self._socket = self._loop.run_until_complete(self._connect(port))
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._loop.run_until_complete(self._disconnect(self._socket))
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._loop.close()

    async def _connect(self, port: str) -> WebSocketClientConnection:
        from urllib.request import urlopen

        def pages() -> list[dict[str, Any]]:
            with urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as answer:
                found: list[dict[str, Any]] = json.load(answer)
            return [page for page in found if page["type"] == "page"]

        page = wait_until(pages, "it has a page")[0]
        return await websocket_connect(page["webSocketDebuggerUrl"], max_message_size=2**28)

    async def _disconnect(self, socket: WebSocketClientConnection) -> None:
        socket.close()  # needs the loop, although it does not wait

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give an order of the protocol, and collect what happened meanwhile."""
        return self._loop.run_until_complete(
            asyncio.wait_for(self._call(method, parameters), _SECONDS)
        )

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        assert self._socket is not None
        self._number += 1
        order = {"id": self._number, "method": method, "params": parameters}
        await self._socket.write_message(json.dumps(order))
        while True:
            message = json.loads(await self._socket.read_message() or "{}")
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])
        if event.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(parameters["exceptionDetails"]["text"]))
        if event.get("method") == "Network.requestWillBeSent":
            self.requested.append(parameters["request"]["url"])

    def open(self, url: str) -> None:
        """Go to an address, and wait until its page is there."""
        self.call("Page.navigate", url=url)
        wait_until(lambda: self.value("document.readyState") == "complete", f"{url} is there")

    def value(self, expression: str) -> Any:
        """Return the value of a script's expression; wait for promises."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key, such as ``("Tab", 9)``."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def width(self, pixels: int) -> None:
        """Have a window of that width, as a phone has one of 390."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=pixels,
            height=900,
            deviceScaleFactor=1,
            mobile=pixels < 600,
        )

    def dark(self, is_dark: bool) -> None:
        """Prefer dark pages."""
        value = "dark" if is_dark else "light"
        features = [{"name": "prefers-color-scheme", "value": value}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def scripts(self, allowed: bool) -> None:
        """Let pages run scripts, or not."""
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)
