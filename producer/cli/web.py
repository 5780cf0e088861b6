"""``dataworks web``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from producer.cli.shared.options import CommandContext, with_connections

if TYPE_CHECKING:
    from producer.connections import Connections
    from producer.web.options import WebOptions

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("web")
@click.option(
    "--listen",
    default="127.0.0.1:8090",
    show_default=True,
    metavar="ADDRESS:PORT",
    help="Where to listen; port 0 picks a free one.",
)
@click.option("--password-file", type=_FILE, metavar="FILE", help="Ask visitors for this password.")
@click.option(
    "--token-file", type=_FILE, metavar="FILE", help="Give programs access with this token."
)
@click.option("--tls-certificate", type=_FILE, metavar="FILE", help="Certificate, in PEM form.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="Key of the certificate.")
@click.option("--behind-tls-proxy", is_flag=True, help="A proxy in front of the pages handles TLS.")
@click.option(
    "--allowed-host",
    multiple=True,
    metavar="NAME",
    help="Another name that visitors use for this page; may be given several times.",
)
@click.option(
    "--allow-actions",
    is_flag=True,
    help="Let visitors pause, resume, retry, cancel, change the rate and cut over.",
)
@click.option("--hide-keys", is_flag=True, help="Hide the keys of documents.")
@with_connections
def command(
    context: CommandContext,
    listen: str,
    password_file: Path | None,
    token_file: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    behind_tls_proxy: bool,
    allowed_host: tuple[str, ...],
    allow_actions: bool,
    hide_keys: bool,
) -> None:
    """Serve pages and an API that show every run, until Ctrl-C.

    They read the ledger only. Without a password, only this machine can open them. Password and
    token may also come from FRAMEWORK_WEB_PASSWORD and FRAMEWORK_WEB_TOKEN.
    """
    import asyncio

    from producer.web.options import RequestedOptions, check_options

    requested = RequestedOptions(
        listen,
        password_file,
        token_file,
        tls_certificate,
        tls_key,
        behind_tls_proxy,
        allowed_host,
        allow_actions,
        hide_keys,
    )
    options = check_options(requested, context.config())
    with context.connections() as connections:
        connections.ledger.ping()
        asyncio.run(_serve(context, connections, options))


async def _serve(context: CommandContext, connections: Connections, options: WebOptions) -> None:
    import asyncio

    from producer.web.server import serve

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)

    def ready(url: str) -> None:
        if context.as_json:
            context.print_json({"url": url})
        else:
            context.console.print(f"{url}  (Ctrl-C stops)", soft_wrap=True)

    await serve(connections, options, stopped, ready)
