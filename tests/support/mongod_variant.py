"""mongod as a test needs it: the local services' own, with further arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace

from producer.local.binaries import MONGOD, find_binary
from producer.local.child_command import ChildCommand
from producer.local.mongod import Mongod
from producer.local.service_definition import LOOPBACK, ServiceSite


@dataclass(frozen=True, slots=True)
class MongodVariant:
    """A server that is ready when it says so in its log: it may answer nobody without TLS."""

    arguments: tuple[str, ...]
    name: str = "mongod"

    def command(self, site: ServiceSite) -> ChildCommand:
        """Return the usual command and ``arguments``."""
        usual = Mongod(find_binary(MONGOD), name=self.name).command(site)
        return replace(usual, arguments=(*usual.arguments, *self.arguments))

    def is_ready(self, site: ServiceSite) -> bool:
        """Whether it listens."""
        return "Waiting for connections" in site.log_text()

    def url(self, site: ServiceSite) -> str:
        """Its address, without user, options or database."""
        return f"mongodb://{LOOPBACK}:{site.port}/"
