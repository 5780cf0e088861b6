"""The ports of a folder's services: the same at every start, if they are free."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

from producer.local.service_definition import LOOPBACK

PORTS_FILE = "ports.json"
_KEPT = range(20_000, 30_000)
"""Below the ports that systems use for outgoing connections, which may take any other one."""
_TRIES = 50


class KeptPorts:
    """Remembers ports by the name of the service, in a file of ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / PORTS_FILE
        self._ports = self._read()

    def choose(self, name: str) -> int | None:
        """Return the service's port if it is free, else another one; None if none was found."""
        tried = [self._ports[name]] if name in self._ports else []
        tried += random.sample(_KEPT, _TRIES)
        taken = {port for other, port in self._ports.items() if other != name}
        return next((port for port in tried if port not in taken and _is_free(port)), None)

    def keep(self, name: str, port: int) -> None:
        """Remember the port on which the service runs."""
        if self._ports.get(name) != port:
            self._ports[name] = port
            self._path.write_text(json.dumps(self._ports, indent=2, sort_keys=True) + "\n")

    def _read(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {name: port for name, port in found.items() if isinstance(port, int)}


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # A server that has just stopped leaves connections behind, but frees its port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
