"""How many documents to generate for one write."""

from __future__ import annotations

from dataclasses import dataclass, field

_FIRST_DOCUMENTS = 16
"""Before anything is known about them: this many of the largest documents still fit a worker."""
_MOST_BYTES = 4_000_000
"""Size of one chunk: a few chunks are in flight at once, and a worker stays small.

The driver's buffer doubles as it fills; a little below 4 MiB, none of it stays empty.
"""


@dataclass(slots=True)
class ChunkSize:
    """Adapts to the last chunk: the size of its documents, and how long they took to make.

    ``most_documents`` bounds a chunk, and ``most_seconds`` how long its first documents wait for
    its last.
    """

    most_documents: int
    most_seconds: float
    documents: int = field(init=False)

    def __post_init__(self) -> None:
        self.documents = min(_FIRST_DOCUMENTS, self.most_documents)

    def of(self, left: int) -> int:
        """Return the size of the next chunk of ``left`` documents; all chunks are about equal."""
        chunks = -(-left // self.documents)
        return -(-left // chunks)

    def learn(self, documents: int, size_bytes: int, seconds: float) -> None:
        """Adapt to a chunk that was just made."""
        if documents == 0:
            return
        by_bytes = _MOST_BYTES * documents // max(1, size_bytes)
        by_seconds = int(self.most_seconds * documents / max(seconds, 1e-9))
        self.documents = max(1, min(self.most_documents, by_bytes, by_seconds))
