"""The examples of the pages that need servers, with real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.docs.pages import PAGES, WITH_SERVICES, examples, run_examples

PAGES_WITH_SERVICES = [
    path for path in PAGES if any(example.mark == WITH_SERVICES for example in examples(path))
]


@pytest.mark.parametrize("path", PAGES_WITH_SERVICES, ids=lambda path: path.name)
def test_examples_with_servers(path: Path, tmp_path: Path, own_services: Any) -> None:
    own_services.start_stores()
    settings = {
        "FRAMEWORK_BROKER_URL": own_services.redis_url,
        "FRAMEWORK_SOURCE_DB_CONNECTION_STRING": own_services.mongodb_url,
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING": own_services.mongodb_url,
    }
    own_services.start_worker(settings, concurrency=2)
    assert run_examples(path, WITH_SERVICES, tmp_path, settings) > 0
