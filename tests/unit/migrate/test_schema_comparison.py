"""What is shown of two options that differ."""

from __future__ import annotations

from typing import Any

import pytest

from dataworks_tasks.migrate.schema_comparison import _values


@pytest.mark.parametrize("length", [0, 1, 30, 60, 100, 1000])
@pytest.mark.parametrize("more", [0, 1000])
def test_the_difference_of_long_values_is_shown(length: int, more: int) -> None:
    def view(value: int) -> dict[str, Any]:
        return {"viewOn": "x" * length, "pipeline": [{"$limit": value}], "end": "y" * more}

    shown = _values(view(12345), view(67890))
    for text, number in zip(shown, ("12345", "67890"), strict=True):
        assert number in text
        assert len(text) <= 80


def test_a_value_that_only_one_side_has_is_shown() -> None:
    assert _values({}, {"a": 1}) == ("not set", '{"a": 1}')
    assert _values(True, {"a": "x" * 100}) == ("true", '{"a": "' + "x" * 72 + "…")
