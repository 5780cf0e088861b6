"""The cluster time in a resume token of MongoDB."""

from __future__ import annotations

from bson.timestamp import Timestamp

from dataworks_tasks.documents.raw_bson import find_element
from dataworks_tasks.errors import TerminalError


def token_time(token: bytes) -> Timestamp:
    """Return the cluster time that a resume token of MongoDB begins with."""
    data = find_element(token, b"_data")
    if data is None:
        raise TerminalError("the server's resume tokens have no time", "Follow a MongoDB server")
    return time_in(data.value[4:-1].decode())


def time_in(data: str) -> Timestamp:
    """Return the cluster time of a token's field ``_data``."""
    digits = bytes.fromhex(data[:18])
    return Timestamp(int.from_bytes(digits[1:5]), int.from_bytes(digits[5:9]))
