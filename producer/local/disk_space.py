"""Whether the disk of a folder has room, for services that end without it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataworks_tasks.errors import UsageError

FULL_BYTES = 1_000_000
"""Servers give up with a little left: a page that they write is larger."""
ROOM_BYTES = 10 * FULL_BYTES
"""Services that ended on a full disk are started again when this is free."""
_UNWRITABLE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
)


def disk_is_full(folder: Path) -> bool:
    """Return whether the disk lacks room for what a service has to write."""
    return shutil.disk_usage(folder).free < FULL_BYTES


def disk_has_room(folder: Path) -> bool:
    """Return whether a disk that was full has room for services to start again."""
    return shutil.disk_usage(folder).free >= ROOM_BYTES


def because_of_disk(folder: Path) -> str:
    """Return the end of a sentence about a service that ended; empty if the disk has room."""
    return f": the disk of {folder} is full" if disk_is_full(folder) else ""


@contextmanager
def writing_files(folder: Path) -> Iterator[None]:
    """Raise UsageError for files of the services that cannot be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise unwritable(f"{error.filename or folder}: {error.strerror}") from None


def unwritable(reason: str) -> UsageError:
    """Build the error for files of the services that cannot be written."""
    return UsageError(
        f"the files of the local services cannot be written: {reason}",
        "Run dataworks in a folder that you own, on a disk with free space",
    )
