"""A service that ends because its disk is full is named with its disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from dataworks_tasks.errors import UsageError
from producer.local.disk_space import because_of_disk, writing_files


@pytest.mark.parametrize(("free", "is_full"), [(0, True), (40_960, True), (50_000_000, False)])
def test_a_full_disk_is_the_cause(
    monkeypatch: pytest.MonkeyPatch, free: int, is_full: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free))
    expected = ": the disk of here is full" if is_full else ""
    assert because_of_disk(Path("here")) == expected


def test_a_file_that_cannot_be_written_is_one_sentence() -> None:
    full = Path("/dev/full")
    with (
        pytest.raises(UsageError, match="here: No space left on device"),
        writing_files(Path("here")),
    ):
        full.write_text("x")
