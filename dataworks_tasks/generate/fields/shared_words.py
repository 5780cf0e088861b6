"""Words that the processes of one worker draw for each other.

The worker's parent opens a file without a name before it forks: only its children have it, nothing
of it stays when they end, and nobody else can open it. A process appends the words that it has
drawn and reads those of the others; it never waits for one. What a killed process left unfinished
is not seen, as the end of the file is recorded last.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_HEADER = struct.Struct("<QQ")
"""How often the file began again, and where its records end."""
_RECORD = struct.Struct("<16sII")
"""Whose words they are, the number of the part, and the length of the JSON text that follows."""
_MOST_BYTES = 32 << 20
_Place = tuple[int, int]
"""Where a part's text begins, and its length."""

shared: SharedWords | None = None
"""What this process shares with the others of its worker; None if it is the only one."""


def share_words() -> None:
    """Share words among the processes that this one forks from now on.

    Does nothing where no temporary file can be made: then each process draws all of its words.
    """
    global shared  # noqa: PLW0603 - forked processes inherit it
    with suppress(OSError):
        shared = SharedWords()


class SharedWords:
    """Parts of pools of words, each a list of texts with a key and a number."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._places: dict[tuple[bytes, int], _Place] = {}
        self._seen = (0, _HEADER.size)
        self._write_header(*self._seen)

    def close(self) -> None:
        """Close this process' file."""
        self._file.close()

    def add(self, key: bytes, number: int, words: list[str]) -> None:
        """Append a part, unless another process is at the file just now or the disk is full."""
        data = json.dumps(words).encode()
        record = _RECORD.pack(key, number, len(data)) + data
        with suppress(OSError), self.locked() as is_locked:
            if is_locked and len(record) <= _MOST_BYTES - _HEADER.size:
                self._append(record)

    @contextmanager
    def locked(self, kind: int = fcntl.LOCK_EX) -> Iterator[bool]:
        """Hold the file's lock, which ends with the process; yield False if another holds it."""
        try:
            fcntl.lockf(self._file, kind | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _append(self, record: bytes) -> None:
        lap, end = self._read_header()
        if end + len(record) > _MOST_BYTES:
            lap, end = lap + 1, _HEADER.size
            self._write_header(lap, end)  # first: the old places mean nothing from here on
        if os.pwrite(self._file.fileno(), record, end) == len(record):
            self._write_header(lap, end + len(record))

    def find(self, key: bytes, number: int) -> list[str] | None:
        """Return a part that a process has added; None also if one is writing just now."""
        with self.locked(fcntl.LOCK_SH) as is_locked:
            if not is_locked:
                return None
            self._look_for_new()
            place = self._places.get((key, number))
            if place is None:
                return None
            position, size = place
            data = os.pread(self._file.fileno(), size, position)
        words: list[str] = json.loads(data)
        return words

    def _look_for_new(self) -> None:
        lap, end = self._read_header()
        seen_lap, position = self._seen
        if lap != seen_lap:
            self._places.clear()
            position = _HEADER.size
        while position < end:
            head = os.pread(self._file.fileno(), _RECORD.size, position)
            key, number, size = _RECORD.unpack(head)
            position += _RECORD.size
            self._places[key, number] = (position, size)
            position += size
        self._seen = (lap, position)

    def _read_header(self) -> tuple[int, int]:
        lap, end = _HEADER.unpack(os.pread(self._file.fileno(), _HEADER.size, 0))
        return lap, end

    def _write_header(self, lap: int, end: int) -> None:
        os.pwrite(self._file.fileno(), _HEADER.pack(lap, end), 0)
