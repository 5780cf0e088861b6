"""A key window: a slice of a run whose documents are named one by one."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from dataworks_tasks.documents.raw_bson import (
    Element,
    assemble,
    element_bytes,
    elements,
    elements_as,
    embedded,
)
from dataworks_tasks.errors import NEW_RUN, SpecRefused
from dataworks_tasks.runs.spec import MigrationJob

MOST_KEYS = 1000
MOST_BYTES = 256 * 1024
"""Bytes of the keys of one window; a single ``_id`` may be larger."""
_COVER = 4
"""Where a slice of the key space has its ``SliceKind``."""
_MARK = b"\x10c\0" + struct.pack("<i", _COVER)


@dataclass(frozen=True, slots=True)
class KeyWindow:
    """Keys of collection pair ``pair``.

    ``tries``: how often these keys changed while they were reconciled. ``nonce`` is the run's, so
    that no two plans have the same windows. ``index``: of a generation run, where the batch of
    these documents begins. ``seconds``: when the first of these changes was read, by the source's
    clock.
    """

    pair: int
    keys: tuple[Element, ...]
    tries: int = 0
    nonce: bytes = b""
    index: int | None = None
    seconds: int = 0

    def to_bytes(self) -> bytes:
        """Encode it for the ledger: a BSON document."""
        members = assemble(
            element_bytes(key, str(position).encode()) for position, key in enumerate(self.keys)
        )
        fields = [_MARK, b"\x10p\0" + struct.pack("<i", self.pair)]
        if self.tries:
            fields.append(b"\x10t\0" + struct.pack("<i", self.tries))
        if self.nonce:
            fields.append(b"\x05n\0" + struct.pack("<iB", len(self.nonce), 0) + self.nonce)
        if self.index is not None:
            fields.append(b"\x12i\0" + struct.pack("<q", self.index))
        if self.seconds:
            fields.append(b"\x12s\0" + struct.pack("<q", self.seconds))
        return assemble([*fields, embedded(b"w", members, array=True)])

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyWindow:
        """Read a window. Raises SpecRefused when the bytes are not one."""
        try:
            fields = {element.name: element for element in elements(data)}
            nonce, index, seconds = (fields.get(name) for name in (b"n", b"i", b"s"))
            return cls(
                pair=_number(fields[b"p"]),
                keys=tuple(elements_as(b"_id", fields[b"w"].value)),
                tries=_number(fields[b"t"]) if b"t" in fields else 0,
                nonce=nonce.value[5:] if nonce else b"",
                index=int(struct.unpack("<q", index.value)[0]) if index else None,
                seconds=int(struct.unpack("<q", seconds.value)[0]) if seconds else 0,
            )
        except (KeyError, ValueError, IndexError, struct.error):
            raise SpecRefused(
                "a key window in the ledger is damaged",
                f"{NEW_RUN.capitalize()}; what is there stays",
            ) from None


def window_nonce(job: MigrationJob, pair: int, later: int) -> bytes:
    """Return the nonce of the windows of a collection; ``later``: how many were added later.

    If Redis loses its last moments, another collection may get a number that was used before. Their
    windows must differ.
    """
    if job.follow is None:
        raise TypeError("the job does not follow its source")
    nonce = bytes.fromhex(job.follow.nonce)
    if pair < len(job.namespaces) - later:
        return nonce
    both = job.namespaces[pair]
    named = f"{both.source}\0{both.target}".encode()
    return blake2b(named, key=nonce, digest_size=len(nonce)).digest()


def is_key_window(data: bytes) -> bool:
    """Return whether a slice's bytes are those of a key window."""
    return data.startswith(_MARK, 4)


def windows_of(keys: Iterable[Element], first: KeyWindow) -> Iterator[KeyWindow]:
    """Yield ``keys`` in windows like ``first``, each within the bounds of count and bytes."""
    taken: list[Element] = []
    size = 0
    for key in keys:
        if taken and (len(taken) == MOST_KEYS or size + len(key.value) > MOST_BYTES):
            yield _like(first, taken)
            taken, size = [], 0
        taken.append(key)
        size += len(key.value)
    if taken:
        yield _like(first, taken)


def _like(first: KeyWindow, keys: Sequence[Element]) -> KeyWindow:
    return replace(first, keys=tuple(keys))


def id_of_failure(bson_id: str) -> Element:
    """Return the ``_id`` of a recorded failure, from its hexadecimal BSON."""
    data = bytes.fromhex(bson_id)
    return Element(data[0], b"_id", data[5:])


def session_id(run_id: str, number: int, data: bytes) -> bytes:
    """Return the id of the session that writes a window, the same for each holder."""
    named = f"{run_id}\0{number}\0".encode() + data
    return blake2b(named, digest_size=16).digest()


def _number(element: Element) -> int:
    return int(struct.unpack("<i", element.value)[0])
