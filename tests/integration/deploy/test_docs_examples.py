"""The examples of the pages run: those that need servers with real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.local.services import LocalServices
from tests.unit.docs.pages import PAGES, RUN, WITH_SERVICES, examples, run_examples


def pages_with(mark: str) -> pytest.MarkDecorator:
    pages = [path for path in PAGES if any(example.mark == mark for example in examples(path))]
    return pytest.mark.parametrize("path", pages, ids=[path.name for path in pages])


@pages_with(RUN)
def test_examples_without_servers(path: Path, tmp_path: Path) -> None:
    assert run_examples(path, RUN, tmp_path, {}) > 0


@pages_with(WITH_SERVICES)
def test_examples_with_servers(path: Path, tmp_path: Path, own_services: LocalServices) -> None:
    own_services.start_stores()
    settings = {
        "FRAMEWORK_BROKER_URL": own_services.redis_url,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": own_services.mongodb_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": own_services.mongodb_url,
    }
    own_services.start_worker(settings, concurrency=2)
    assert run_examples(path, WITH_SERVICES, tmp_path, settings) > 0
