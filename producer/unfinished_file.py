"""Files that a command writes for a person: complete, or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

File = TypeVar("File", bound=IO[bytes] | IO[str])


@contextmanager
def complete_or_removed(file: File, path: Path) -> Iterator[File]:
    """Close ``file``; remove it if the disk did not take all of it, so that nobody uses a part."""
    try:
        with file:
            yield file
    except OSError:
        if path.is_file():
            path.unlink()
        raise
