"""A help text imports no driver, no numpy and no terminal library: it has to be instant."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from producer.cli import COMMANDS

HEAVY = frozenset(
    {
        "asyncio",
        "bson",
        "celery",
        "dotenv",
        "faker",
        "kombu",
        "numpy",
        "prometheus_client",
        "pydantic",
        "pydantic_settings",
        "pymongo",
        "redis",
        "rich",
        "ssl",
        "tornado",
    }
)
_HELP = """
import contextlib, io, json, sys
from producer.cli import cli
found = {}
for name in json.loads(sys.argv[1]):
    before = set(sys.modules)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        cli.main([*name.split(), "--help"], standalone_mode=False)
    found[name] = [text.getvalue(), sorted(set(sys.modules) - before)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[str, list[str]]]:
    """Each command's help text, and the modules that it imported, of one process."""
    done = subprocess.run(
        [sys.executable, "-c", _HELP, json.dumps(["", *COMMANDS])],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, tuple[str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_a_help_text_imports_nothing_heavy(
    helps: dict[str, tuple[str, list[str]]], name: str
) -> None:
    text, imported = helps[name]
    assert text.startswith("Usage: ")
    assert not HEAVY & {module.partition(".")[0] for module in imported}
