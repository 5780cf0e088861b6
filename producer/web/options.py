"""How the page is served, and to whom."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.bounds import SHORTEST_WEB_SECRET
from dataworks_tasks.settings import FrameworkConfig


@dataclass(frozen=True, slots=True)
class WebOptions:
    """Checked options of the server.

    ``hosts``: the host names that it answers to, in lower case.
    """

    address: str
    port: int
    hosts: frozenset[str]
    password: SecretStr | None = None
    token: SecretStr | None = None
    tls: tuple[Path, Path] | None = None
    secure_cookies: bool = False
    allow_actions: bool = False
    hide_keys: bool = False

    @property
    def is_protected(self) -> bool:
        """Whether a visitor has to prove who they are."""
        return self.password is not None or self.token is not None


@dataclass(frozen=True, slots=True)
class RequestedOptions:
    """The options as they were typed; see ``dataworks web --help``."""

    listen: str
    password_file: Path | None = None
    token_file: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_tls_proxy: bool = False
    allowed_hosts: Sequence[str] = field(default=())
    allow_actions: bool = False
    hide_keys: bool = False


def check_options(requested: RequestedOptions, config: FrameworkConfig | None = None) -> WebOptions:
    """Check the options. Raises UsageError for an unsafe combination."""
    address, port = _address(requested.listen)
    password = _secret(requested.password_file, "--password-file")
    token = _secret(requested.token_file, "--token-file")
    if config is not None:
        password = password or config.web_password
        token = token or config.web_token
    tls = _tls(requested)
    if not _is_loopback(address):
        if password is None and token is None:
            raise UsageError(
                f"anyone who reaches {address} could read every run",
                "Set FRAMEWORK_WEB_PASSWORD, add --password-file FILE or --token-file FILE, "
                "or listen on 127.0.0.1",
            )
        if tls is None and not requested.behind_tls_proxy:
            raise UsageError(
                f"the password would cross the network to {address} unencrypted",
                "Add --tls-certificate FILE and --tls-key FILE, or --behind-tls-proxy if a proxy "
                "in front of the page speaks TLS",
            )
    if requested.allow_actions and password is None:
        raise UsageError(
            "actions need a password, on loopback too",
            "Set FRAMEWORK_WEB_PASSWORD, or add --password-file FILE",
        )
    own = {"localhost", "127.0.0.1", "::1"} if _is_loopback(address) else set()
    hosts = frozenset({*own, address.lower(), *(name.lower() for name in requested.allowed_hosts)})
    return WebOptions(
        address=address,
        port=port,
        hosts=hosts,
        password=password,
        token=token,
        tls=tls,
        secure_cookies=tls is not None or requested.behind_tls_proxy,
        allow_actions=requested.allow_actions,
        hide_keys=requested.hide_keys,
    )


def _address(listen: str) -> tuple[str, int]:
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise UsageError(
            f"--listen {listen} is not ADDRESS:PORT", "Write it like --listen 127.0.0.1:8090"
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _secret(path: Path | None, flag: str) -> SecretStr | None:
    if path is None:
        return None
    try:
        exposed = _is_exposed(path)
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"{flag} {path} cannot be read", "Check its path and its owner") from None
    if exposed:
        raise UsageError(f"other users may read {path}", f"Type: chmod 600 {path}")
    if len(text) < SHORTEST_WEB_SECRET:
        raise UsageError(
            f"{path} holds fewer than {SHORTEST_WEB_SECRET} characters",
            f"Make one: openssl rand -base64 24 > {path}",
        )
    return SecretStr(text)


def _is_exposed(path: Path) -> bool:
    """Return whether other users of this machine may read the file.

    A secret that is mounted into a container belongs to root and has mode 0440 or 0444, on a
    read-only mount of its own. Other users do not exist inside the container.
    """
    found = path.stat()
    if not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return False
    is_mounted = found.st_uid == 0 and bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return not is_mounted


def _tls(requested: RequestedOptions) -> tuple[Path, Path] | None:
    certificate, key = requested.tls_certificate, requested.tls_key
    if (certificate is None) != (key is None):
        raise UsageError(
            "TLS needs a certificate and a key", "Give both --tls-certificate and --tls-key"
        )
    return None if certificate is None or key is None else (certificate, key)
