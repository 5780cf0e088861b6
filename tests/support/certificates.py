"""Certificates for a test: an authority, a server at 127.0.0.1, a client, and a stranger."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import trustme

CLIENT_SUBJECT = "CN=dataworks,OU=fleet,O=DataWorks tests"
"""The client's name as MongoDB writes it: RFC 2253, the last part first."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files. ``server`` and ``client`` hold the key too; nobody trusts ``other_authority``."""

    authority: Path
    server: Path
    client: Path
    other_authority: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make new ones in ``folder``."""
        made = cls(*(folder / f"{name}.pem" for name in ("authority", "server", "client", "other")))
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(made.authority))
        trustme.CA().cert_pem.write_to_path(str(made.other_authority))
        server = authority.issue_cert("127.0.0.1")
        server.private_key_and_cert_chain_pem.write_to_path(str(made.server))
        client = authority.issue_cert(
            "dataworks.example",
            common_name="dataworks",
            organization_name="DataWorks tests",
            organization_unit_name="fleet",
        )
        client.private_key_and_cert_chain_pem.write_to_path(str(made.client))
        return made

    def server_context(self) -> ssl.SSLContext:
        """Return a TLS context that asks clients for a certificate of the same authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        context.load_verify_locations(self.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        return context
