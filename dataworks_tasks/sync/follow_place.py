"""The place of following, which the reader moves in one step with the windows that it appends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from bson import Int64, decode, encode
from bson.timestamp import Timestamp

from dataworks_tasks.runs.spec import FollowPart

PLACE = "follow"
"""The place's name in the ledger."""
RESYNC = "resync"
"""The name of the mark that a run took a new position and has to be compared."""
DDL = "ddl"
"""The name of the list of seen changes of collections themselves, as JSON."""
REDO = "redo"
"""The name of the rest of collections in which every key is reconciled."""
TARGET = "target_place"
"""The name of the target's position at the cut-over: the way back begins there."""


@dataclass(frozen=True, slots=True)
class FollowPlace:
    """``token``: everything up to it is in the change log. ``time``: its cluster time.

    ``logged``: entries of the change log that count. ``planned``: those that are windows already.
    ``events``: changes seen so far. An empty ``token`` means the cluster time alone. ``later``:
    collections that the reader follows besides those that the run started with.
    """

    token: bytes
    time: Timestamp
    logged: int = 0
    planned: int = 0
    events: int = 0
    later: int = 0

    def to_bytes(self) -> bytes:
        """Encode it for the ledger: BSON as hexadecimal digits, because a run's record is text."""
        fields = {
            "t": self.token,
            "c": self.time,
            "l": Int64(self.logged),
            "p": Int64(self.planned),
            "e": Int64(self.events),
            "n": Int64(self.later),
        }
        return encode(fields).hex().encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a place."""
        fields = decode(bytes.fromhex(data.decode()))
        return cls(
            bytes(fields["t"]),
            fields["c"],
            int(fields["l"]),
            int(fields["p"]),
            int(fields["e"]),
            int(fields.get("n", 0)),
        )


def first_place(part: FollowPart) -> FollowPlace:
    """Return the place where a run begins: the position that was taken before its first slice."""
    position = part.position
    return FollowPlace(
        bytes.fromhex(position.token), Timestamp(position.seconds, position.increment)
    )
