"""A file is complete, or not there."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from producer.unfinished_file import complete_or_removed


def test_a_file_that_the_disk_does_not_take_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    file = path.open("w")
    with pytest.raises(OSError, match="full"), complete_or_removed(file, path):
        raise OSError(errno.ENOSPC, "full")
    assert not path.exists()


def test_a_complete_file_stays_and_a_device_always_does(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with complete_or_removed(path.open("w"), path) as file:
        file.write("all")
    assert path.read_text() == "all"
    full = Path("/dev/full")
    with pytest.raises(OSError), complete_or_removed(full.open("w"), full) as file:
        file.write("x")
    assert full.exists()
