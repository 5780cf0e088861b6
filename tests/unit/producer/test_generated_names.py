"""Names of targets that a generation refuses before it writes."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.store.client import BaseDatabaseClient
from producer.start.check_names import check_generated_names


class _Target:
    """A server that has the database ``shop``."""

    def command(self, database: str, command: dict[str, Any]) -> dict[str, Any]:
        assert (database, next(iter(command))) == ("admin", "listDatabases")
        return {"databases": [{"name": "shop"}]}


TARGET = cast("BaseDatabaseClient", _Target())


@pytest.mark.parametrize(
    ("database", "collection", "said"),
    [
        ("shop", "a$b", r"shop\.a\$b cannot be written: its name has a character"),
        ("my.shop", "orders", r"my\.shop\.orders cannot be written: its name has"),
        ("shop", "a..b", "names with empty parts"),
        ("shop", "x" * 251, "at most 255 bytes"),
        ("Shop", "orders", "the target has the database shop, which differs only in case"),
    ],
)
def test_names_that_the_target_refuses(database: str, collection: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_generated_names(TARGET, [Namespace("shop", "fine"), Namespace(database, collection)])


def test_other_names_are_fine() -> None:
    check_generated_names(TARGET, [Namespace("shop", "a.b"), Namespace("new", "größe 🚀")])
