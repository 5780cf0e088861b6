"""What a window's documents were before they were written, to see which of them changed since."""

from __future__ import annotations

from hashlib import blake2b

from dataworks_tasks.documents.raw_bson import Element, id_element
from dataworks_tasks.sync.wanted import KeyedPage

_DIGEST_BYTES = 16
MOST_KEPT_BYTES = 4 << 20
"""Of a window's documents; of what is more, digests are kept."""


class ReadBefore:
    """What was read before the write, compared page by page with what is read after it.

    A page that comes again as it was is not taken apart. The pages are kept as far as there is room
    for them; of the others, and of those that changed, each document's digest is compared.
    """

    def __init__(self) -> None:
        self._pages: list[tuple[bytes, list[bytes]]] = []
        self._kept_bytes = 0
        self._digests: dict[bytes, bytes] = {}
        self._compared = 0
        self._later: dict[bytes, bytes] = {}

    def keep(self, data: bytes, page: KeyedPage) -> None:
        """Keep a page of the first read."""
        self._kept_bytes += len(data)
        if self._kept_bytes <= MOST_KEPT_BYTES:
            self._pages.append((data, page.keys))
        else:
            self._digests |= _digests(page)

    def compare(self, data: bytes) -> list[bytes]:
        """Compare a page of the second read; returns the keys of its documents."""
        if self._compared < len(self._pages):
            before, keys = self._pages[self._compared]
            self._compared += 1
            if data == before:
                return keys
            self._digests |= _digests(KeyedPage.parse(before))
        page = KeyedPage.parse(data)
        self._later |= _digests(page)
        return page.keys

    def changed(self) -> list[Element]:
        """Return the keys that have other documents after the write than before, or none now."""
        for data, _ in self._pages[self._compared :]:
            self._digests |= _digests(KeyedPage.parse(data))
        keys = dict.fromkeys((*self._digests, *self._later))
        return [id_element(key) for key in keys if self._digests.get(key) != self._later.get(key)]


def _digests(page: KeyedPage) -> dict[bytes, bytes]:
    """Return what documents are compared by, without keeping them."""
    return {
        key: blake2b(document, digest_size=_DIGEST_BYTES).digest()
        for key, document in zip(page.keys, page.documents, strict=True)
    }
