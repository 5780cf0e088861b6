"""The page of the simulator names every dial and option."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from producer.cosmos_simulator import FaultDials
from producer.cosmos_simulator.config import WIRE_VERSIONS

PAGE = (Path(__file__).parents[3] / "docs" / "cosmos-simulator.md").read_text("utf-8")


@pytest.mark.parametrize("dial", [dial.name for dial in fields(FaultDials)])
def test_every_dial_is_explained(dial: str) -> None:
    assert f"`{dial}`" in PAGE


def test_every_server_version_is_named() -> None:
    assert ", ".join(WIRE_VERSIONS) in PAGE
