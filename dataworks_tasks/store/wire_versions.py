"""Which server reports which wire version, and what to do when the driver is too new for it."""

from __future__ import annotations

import re

import pymongo

from dataworks_tasks.errors import SettingsError

_SERVERS = ((25, "8.0"), (21, "7.0"), (17, "6.0"), (13, "5.0"), (9, "4.4"), (8, "4.2"), (7, "4.0"))
_OLDEST = 6  # MongoDB 3.6, the oldest that PyMongo 4.10.1 accepts

_REPORTED = re.compile(
    r"Server at (\S+) reports wire version (\d+), but this version of PyMongo requires "
    r"at least (\d+)"
)


def server_version(wire_version: int) -> str:
    """Return the MongoDB version with this ``maxWireVersion`` (docs/cosmos-facts.md section 1)."""
    if wire_version < _OLDEST:
        return "older than 3.6"
    return next((version for wire, version in _SERVERS if wire_version >= wire), "3.6")


def too_old_server(message: str) -> SettingsError | None:
    """Return the error for a server that this driver refuses; None for any other ``message``."""
    found = _REPORTED.search(message)
    if found is None:
        return None
    address, reported, needed = found[1], int(found[2]), int(found[3])
    fact = (
        f"the server at {address} is compatible with MongoDB {server_version(reported)} "
        f"(wire version {reported}); PyMongo {pymongo.version} needs "
        f"{server_version(needed)} (wire version {needed}) or newer"
    )
    if reported < _OLDEST:
        return SettingsError(fact, "Upgrade the server to 3.6 or newer")
    return SettingsError(
        fact, "Install the older driver: pip install 'dataworks[cosmos-legacy]', then start again"
    )
