"""The examples of the pages run: those that need servers with real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from producer.local.services import LocalServices
from tests.unit.docs.pages import PAGES, RUN, WITH_SERVICES, examples, run_examples


def pages_with(mark: str) -> pytest.MarkDecorator:
    pages = [path for path in PAGES if any(example.mark == mark for example in examples(path))]
    return pytest.mark.parametrize("path", pages, ids=[path.name for path in pages])


@pages_with(RUN)
def test_examples_without_servers(path: Path, tmp_path: Path) -> None:
    assert run_examples(path, RUN, tmp_path, {}) > 0


@pytest.fixture(scope="module")
def settings(stores_available: None) -> Iterator[dict[str, str]]:
    """Servers and a worker for all pages."""
    with LocalServices.in_temporary_folder() as services:
        services.start_stores(replica_set=True)
        settings = {
            "FRAMEWORK_BROKER_URL": services.redis_url,
            "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": services.mongodb_url,
            "FRAMEWORK_TARGET_DB_CONNECTION_STRING": services.mongodb_url,
            "FRAMEWORK_STALL_SECONDS": "2",
            # What pages call a person's own servers.
            **dict.fromkeys(("STAGING", "OLD", "NEW"), services.mongodb_url),
        }
        services.start_worker(settings, concurrency=2)
        yield settings


@pages_with(WITH_SERVICES)
def test_examples_with_servers(path: Path, tmp_path: Path, settings: dict[str, str]) -> None:
    url = settings["FRAMEWORK_TARGET_DB_CONNECTION_STRING"]
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        for name in set(client.list_database_names()) - {"admin", "config", "local"}:
            client.drop_database(name)
    assert run_examples(path, WITH_SERVICES, tmp_path, settings) > 0
