"""The audit reports what an index knows, and says so when it knows nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.support.dependency_audit import PINS, Pin, read_pins, report

KNOWN = {
    "/sound/1.0/json": [],
    "/old/2.0/json": [
        {"id": "GHSA-1", "fixed_in": ["2.1", "3.0"], "withdrawn": None},
        {"id": "GHSA-2", "fixed_in": [], "withdrawn": "2026-01-01"},
    ],
}


class _Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = KNOWN.get(self.path)
        self.send_response(404 if found is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"vulnerabilities": found}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Index) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_advisory_is_reported_and_a_withdrawn_one_is_not(service: str) -> None:
    pins = [Pin("sound", "1.0"), Pin("old", "2.0"), Pin("unknown", "1")]
    assert list(report(service, pins)) == [
        "old 2.0: GHSA-1, fixed in 2.1, 3.0",
        "2 of 3 pinned packages checked, 1 advisories",
    ]


def test_a_mirror_without_advisories_is_no_clean_bill(service: str) -> None:
    [line] = report(f"{service}/simple", [Pin("sound", "1.0"), Pin("old", "2.0")])
    assert "not checked" in line


def test_every_pin_is_read() -> None:
    pins = read_pins(PINS.read_text())
    assert len(pins) == len(PINS.read_text().splitlines())
    assert all(pin.name and pin.version[0].isdigit() for pin in pins)
