"""``_id`` of a generated document: an ObjectId made of the run's seed and the document's index.

Seven bytes of prefix say which seed and collection, five bytes big-endian say which document. So
ids are contiguous and sort by index, a range of documents is a range of ids, and a range that is
delivered twice meets its own documents.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PREFIX_BYTES = 7
INDEX_BYTES = 5
INDEX_LIMIT = 1 << (8 * INDEX_BYTES)
_INDEX = np.dtype({
    "names": ["last"], "formats": [f"V{INDEX_BYTES}"], "offsets": [8 - INDEX_BYTES], "itemsize": 8,
})  # fmt: skip
"""The last bytes of a big-endian number of eight."""


@lru_cache(maxsize=1024)
def object_id_prefix(seed: int, name: str) -> bytes:
    """Return the seven leading bytes of every ``_id`` of template ``name`` under ``seed``."""
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=PREFIX_BYTES).digest()


def object_id(prefix: bytes, index: int) -> bytes:
    """Return the twelve bytes of the ``_id`` of document ``index``.

    Raises OverflowError for an index outside ``[0, INDEX_LIMIT)``.
    """
    return prefix + index.to_bytes(INDEX_BYTES, "big")


def index_bytes(indexes: NDArray[np.uint64]) -> NDArray[np.void]:
    """Return the last five bytes of each id, which encode its index."""
    return indexes.astype(">u8").view(_INDEX)["last"]
