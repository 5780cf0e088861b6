"""Questions that outlast a lease."""

from __future__ import annotations

import pytest

from dataworks_tasks.runs.lease import UnlimitedLease
from dataworks_tasks.store.background import ask_in_background


def test_the_one_who_waits_gets_any_error() -> None:
    """Else nobody would end the wait, and the run would be finishing for ever."""

    def ask() -> int:
        raise ZeroDivisionError("a bug")

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            ask_in_background("key", ask, UnlimitedLease())
