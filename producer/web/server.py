"""The web server: its addresses, its settings, and how it starts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, StaticFileHandler

from dataworks_tasks.errors import SettingsError, UsageError
from producer.connections import Connections
from producer.web.access import PasswordCheck, Sessions
from producer.web.actions import CutOverAction, RateAction, RunAction
from producer.web.api import EventsApi, FailuresApi, RunApi, RunsApi, WorkersApi
from producer.web.cut_overs import CutOvers
from producer.web.options import WebOptions
from producer.web.pages import NothingHere, RunPage, RunsPage, SignInPage, SignOut, WorkersPage
from producer.web.report_page import ReportPage
from producer.web.request import Request, Site
from producer.web.run_reader import RunReader

_HERE = Path(__file__).parent
_RUN = r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})"
_MOST_BODY_BYTES = 64 * 1024


class StaticFile(Request, StaticFileHandler):
    """Style and script: the same for everybody, so no sign-in."""

    is_public = True

    def initialize(self, site: Site, path: str) -> None:  # type: ignore[override]
        """Initialize both base classes."""
        Request.initialize(self, site)
        StaticFileHandler.initialize(self, path)


def create_application(
    connections: Connections, options: WebOptions, cut_overs: CutOvers
) -> Application:
    """Create the application that serves the pages and the API of a ledger."""
    password = PasswordCheck(options.password) if options.password is not None else None
    reader = RunReader(connections.watched_ledger, hide_keys=options.hide_keys)
    site = Site(options, connections, reader, Sessions(), password, cut_overs)
    shared = {"site": site}
    return Application(
        [
            (r"/", RunsPage, shared),
            (rf"/runs/{_RUN}", RunPage, shared),
            (rf"/runs/{_RUN}/report", ReportPage, shared),
            (rf"/runs/{_RUN}/(pause|resume|cancel|retry)", RunAction, shared),
            (rf"/runs/{_RUN}/rate", RateAction, shared),
            (rf"/runs/{_RUN}/cutover", CutOverAction, shared),
            (r"/workers", WorkersPage, shared),
            (r"/sign-in", SignInPage, shared),
            (r"/sign-out", SignOut, shared),
            (r"/api/runs", RunsApi, shared),
            (rf"/api/runs/{_RUN}", RunApi, shared),
            (rf"/api/runs/{_RUN}/failures", FailuresApi, shared),
            (r"/api/workers", WorkersApi, shared),
            (r"/api/events", EventsApi, shared),
            (r"/static/(.*)", StaticFile, {**shared, "path": str(_HERE / "static")}),
        ],
        default_handler_class=NothingHere,
        default_handler_args=shared,
        template_path=str(_HERE / "templates"),
        xsrf_cookies=True,
        xsrf_cookie_kwargs={
            "httponly": True,
            "samesite": "Strict",
            "secure": options.secure_cookies,
        },
    )


async def serve(
    connections: Connections,
    options: WebOptions,
    stopped: asyncio.Event,
    ready: Callable[[str], None],
) -> None:
    """Serve until ``stopped``; pass the address to ``ready``. Raises UsageError if it is taken."""
    cut_overs = CutOvers(connections.config)
    application = create_application(connections, options, cut_overs)
    server = HTTPServer(
        application,
        ssl_options=_ssl_context(options),
        max_body_size=_MOST_BODY_BYTES,
        max_header_size=_MOST_BODY_BYTES,
        xheaders=False,
    )
    try:
        sockets = bind_sockets(options.port, options.address)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {options.address} port {options.port}: {error.strerror}",
            "Use another port: --listen 127.0.0.1:0",
        ) from None
    server.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    host = f"[{options.address}]" if ":" in options.address else options.address
    ready(f"http{'s' if options.tls else ''}://{host}:{port}/")
    await stopped.wait()
    server.stop()
    await server.close_all_connections()
    await asyncio.get_running_loop().run_in_executor(None, cut_overs.stop)


def _ssl_context(options: WebOptions) -> ssl.SSLContext | None:
    if options.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate, key = options.tls
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        raise SettingsError(
            f"{certificate} and {key} are not a certificate and its key in PEM form",
            "Check --tls-certificate and --tls-key",
        ) from None
    return context
