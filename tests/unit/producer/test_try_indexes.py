"""Two commands that prepare one collection at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from dataworks_tasks.errors import TerminalError, UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.capabilities import Capabilities
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.start import try_indexes

_INDEX = {"name": "order_number", "key": {"n": 1}}


class _Target:
    """A server on which another command drops the index that was just built."""

    def __init__(self, *, by_another: bool) -> None:
        self.names = {"_id_"}
        self.capabilities = Capabilities()
        self._by_another = by_another

    def command(self, _database: str, command: Mapping[str, Any]) -> Mapping[str, Any]:
        if "createIndexes" in command:
            self.names.add("order_number")
        if "dropIndexes" in command:
            if self._by_another:
                self.names.discard(command["index"])
            raise TerminalError("the database refused")
        return {"cursor": {"firstBatch": [{"name": name} for name in self.names]}}


@pytest.mark.parametrize("by_another", [True, False])
def test_an_index_that_is_gone_was_dropped_by_another_command(
    by_another: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_indexes, "is_there", lambda *_: True)
    target = cast(BaseDatabaseClient, _Target(by_another=by_another))
    with pytest.raises((UsageError, TerminalError)) as caught:
        try_indexes.try_in_place(target, Namespace("shop", "orders"), [_INDEX])
    assert isinstance(caught.value, UsageError) is by_another
    assert ("another command is preparing shop.orders" in str(caught.value)) is by_another
