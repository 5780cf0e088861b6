"""The settings, without their prefix, that ``--source``, ``--target`` and ``--broker`` replace."""

from __future__ import annotations

ADDRESS_SETTINGS = {
    "source": "SOURCE_DB_CONNECTION_STRING",
    "target": "TARGET_DB_CONNECTION_STRING",
    "broker": "BROKER_URL",
}
