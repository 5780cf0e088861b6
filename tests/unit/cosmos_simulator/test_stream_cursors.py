"""A cursor of mongod's is not taken for a change stream's, whatever its number."""

from __future__ import annotations

import pytest

from producer.cosmos_simulator.catalog import Catalog
from producer.cosmos_simulator.change_streams import ChangeStreams


@pytest.mark.parametrize("cursor_id", [1, 1 << 61, (1 << 61) + 12345, (1 << 62) - 1, (1 << 63) - 1])
def test_a_cursor_that_no_stream_has_is_not_open(cursor_id: int) -> None:
    assert not ChangeStreams(Catalog(), partitions=2, history_bytes=1000).is_open(cursor_id)
