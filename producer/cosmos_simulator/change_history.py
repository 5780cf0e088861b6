"""The change log of Azure DocumentDB: every change that fits the history."""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from producer.cosmos_simulator.change_record import Change


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A change with its number and the second in which it was made."""

    number: int
    second: int
    change: Change

    @property
    def size_bytes(self) -> int:
        """Its size in the history."""
        return len(self.change.key) + len(self.change.document or b"")


class ChangeHistory:
    """Numbered changes of all collections; the oldest are dropped for new ones."""

    def __init__(self, history_bytes: int) -> None:
        self._most_bytes = history_bytes
        self._entries: deque[LoggedChange] = deque()
        self._bytes = 0
        self.last = 0

    def add(self, change: Change, second: int) -> None:
        """Note a change."""
        self.last += 1
        entry = LoggedChange(self.last, second, change)
        self._entries.append(entry)
        self._bytes += entry.size_bytes
        while self._bytes > self._most_bytes and len(self._entries) > 1:
            self._bytes -= self._entries.popleft().size_bytes

    def reaches(self, number: int) -> bool:
        """Return whether everything after change ``number`` is still there."""
        return number >= self.last or self._entries[0].number <= number + 1

    def after(self, number: int, limit: int) -> list[LoggedChange]:
        """Return the next changes."""
        if not self._entries:
            return []
        start = max(0, number + 1 - self._entries[0].number)
        stop = min(len(self._entries), start + limit)
        return [self._entries[index] for index in range(start, stop)]


def token(number: int) -> dict[str, str]:
    """Return a resume token, which reveals neither a time nor an order."""
    plain = number.to_bytes(8)
    mask = hashlib.sha256(b"documentdb" + plain[7:]).digest()[:7]
    hidden = bytes(a ^ b for a, b in zip(plain[:7], mask, strict=True)) + plain[7:]
    return {"_data": base64.b64encode(hidden).decode()}


def number_of(given: Mapping[str, Any]) -> int | None:
    """Return the change that a token names; None if it is not a token."""
    try:
        hidden = base64.b64decode(given["_data"], validate=True)
    except (KeyError, TypeError, ValueError):
        return None
    if len(hidden) != 8:
        return None
    mask = hashlib.sha256(b"documentdb" + hidden[7:]).digest()[:7]
    return int.from_bytes(bytes(a ^ b for a, b in zip(hidden[:7], mask, strict=True)) + hidden[7:])
