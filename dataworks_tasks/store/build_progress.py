"""How much of an index build is done, from the server's description of its phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SCAN, _INSERT = "scanning collection", "inserting keys"
_SCAN_SHARES = {1: 0.75, 2: 0.65}
_LEAST_SCAN_SHARE = 0.55
"""Share of mongod 6.0's processor time before it sorts keys, by the number of indexes.

In it, mongod reads the documents and makes their keys; then it sorts and inserts the keys of each
index.
"""


class BuildProgress:
    """Follows the build of one or several indexes in one pass; ``share`` never falls.

    The server counts the documents that it scanned, then the keys that it inserted, starting at 0
    for each index; in between it reports nothing for a while.
    """

    def __init__(self, indexes: int) -> None:
        self.share = 0.0
        self._indexes = indexes
        self._scan_share = _SCAN_SHARES.get(indexes, _LEAST_SCAN_SHARE)
        self._inserted = 0
        self._latest = 0.0

    def note(self, operation: Mapping[str, Any]) -> None:
        """Take note of the build's entry in ``currentOp``."""
        message = str(operation.get("msg", ""))
        progress = operation.get("progress") or {}
        part = min(1.0, progress["done"] / progress["total"]) if progress.get("total") else None
        if _INSERT in message:
            self._note_inserted(part)
        elif _SCAN in message and part is not None:
            self._reach(self._scan_share * part)

    def _note_inserted(self, part: float | None) -> None:
        if part is not None:
            if part < self._latest:
                self._inserted = min(self._inserted + 1, self._indexes - 1)
            self._latest = part
        each = (1 - self._scan_share) / self._indexes
        self._reach(self._scan_share + each * (self._inserted + self._latest))

    def _reach(self, share: float) -> None:
        self.share = max(self.share, share)
