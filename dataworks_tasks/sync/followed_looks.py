"""Distinguish documents that stay different from those that the following run has yet to reach.

A source that changes is always ahead of its target. So a key that differs is compared again once
the run that follows has reconciled everything up to the first look, and once more after that. It
counts if no change of it was captured meanwhile: then no change was on its way at the second look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from bson import Int64, decode, encode
from bson.timestamp import Timestamp

from dataworks_tasks.ledger.contract import WORKING, Ledger
from dataworks_tasks.sync.follow_place import PLACE, FollowPlace

LOOKS = "looks"
"""The name of the keys that wait for another look, in the record of the run that compares."""
_ENOUGH = 3
"""At the third look every change before the second one is in the change log."""

PairKey = tuple[int, bytes]
"""A collection pair, and a key's bytes."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the source that a follower has to reach.

    ``logged`` and ``windows``: the entries and windows that it had by then, known only after that.
    """

    time: Timestamp
    logged: int = -1
    windows: int = -1

    def advanced(self, ledger: Ledger, run_id: str) -> Mark:
        """Return the mark with everything known by now."""
        mark, kept = self, ledger.key_windows.place(run_id, PLACE)
        if not kept:
            return mark
        place = FollowPlace.from_bytes(kept)
        if mark.logged < 0 and place.time >= mark.time:
            mark = replace(mark, logged=place.logged)
        if mark.windows < 0 <= mark.logged <= place.planned:
            mark = replace(mark, windows=ledger.progress(run_id).planned)
        return mark

    def is_passed(self, ledger: Ledger, run_id: str) -> bool:
        """Return whether everything up to here is reconciled, or the run no longer follows."""
        if ledger.state(run_id) not in WORKING:
            return True
        if self.windows < 0 or ledger.key_windows.status(run_id).deferred:
            return False
        gap = next(iter(ledger.gaps(run_id)), None)
        return gap is None or gap.start >= self.windows


@dataclass(frozen=True, slots=True)
class Looks:
    """Keys of the batch that begins at ``start``, which wait for another look after ``mark``.

    ``since``: the first entry of the change log that may be of a change since the first look.
    ``keys``: each with how many times it was seen to differ.
    """

    start: int
    since: int
    mark: Mark
    keys: Mapping[PairKey, int]

    def after(
        self, mark: Mark, different: Iterable[PairKey], changed: set[PairKey], hot: set[PairKey]
    ) -> tuple[Looks, list[PairKey]]:
        """Return the keys for one more look after ``mark``, and those that stay different.

        ``different``: those that differed at this look. ``changed``: keys of changes that the
        run that follows has captured since the first look; it reconciles them. ``hot``: keys that
        it has yet to reconcile again.
        """
        waiting: dict[PairKey, int] = {}
        stay = []
        for key in different:
            looks = self.keys[key] + (key not in hot)
            if key in changed:
                continue
            if looks == _ENOUGH:
                stay.append(key)
            else:
                waiting[key] = looks
        return replace(self, mark=mark, keys=waiting), stay

    def to_bytes(self) -> bytes:
        """Encode it for the ledger: BSON as hexadecimal digits, because a run's record is text."""
        fields = {
            "s": Int64(self.start),
            "f": Int64(self.since),
            "t": self.mark.time,
            "l": Int64(self.mark.logged),
            "w": Int64(self.mark.windows),
            "k": [[pair, key, looks] for (pair, key), looks in self.keys.items()],
        }
        return encode(fields).hex().encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode the ledger's text."""
        fields = decode(bytes.fromhex(data.decode()))
        keys = {(int(pair), bytes(key)): int(looks) for pair, key, looks in fields["k"]}
        mark = Mark(fields["t"], int(fields["l"]), int(fields["w"]))
        return cls(int(fields["s"]), int(fields["f"]), mark, keys)
