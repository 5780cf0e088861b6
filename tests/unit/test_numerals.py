"""Numbers as people type and read them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dataworks_tasks.numerals import counted, parse_count, plain

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("500000", 500_000),
        ("1_000_000", 1_000_000),
        ("1,000", 1000),
        ("12,345,678", 12_345_678),
        ("10k", 10_000),
        ("10K", 10_000),
        ("1M", 1_000_000),
        (" 2g ", 2_000_000_000),
        ("1e6", 1_000_000),
        ("1.5k", 1500),
        ("4.35M", 4_350_000),
        ("-3", -3),
    ],
)
def test_a_count(text: str, number: int) -> None:
    assert parse_count(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k",
        "ten",
        "10kk",
        "1.5",
        "1e-1",
        "nan",
        "inf",
        "1e400",
        "0x10",
        "10 k b",
        "1,00",
        "1,500k",
        "1000,000",
        "1,000.5",
    ],
)
def test_what_is_not_a_count(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        parse_count(text)


def test_one_has_no_plural() -> None:
    assert counted(1, "message") == "1 message"
    assert counted(0, "message") == "0 messages"
    assert counted(1200, "index", "indexes") == "1,200 indexes"
    assert counted(1, "document was", "documents were") == "1 document was"


def test_no_message_puts_a_number_before_a_plural_by_hand() -> None:
    """A number that can be 1 goes through ``counted``."""
    nouns = "messages|failures|workers|processes|requests|slices|runs|indexes"
    by_hand = re.compile(rf'"[^"]*\{{(?!worker|kind)[^{{}}]+?\}} (?:{nouns})\b')
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for package in ("producer", "dataworks_tasks")
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text().splitlines()
        if by_hand.search(line) and "counted(" not in line and "are called" not in line
    ]
    assert found == []


@pytest.mark.parametrize(
    ("number", "text"),
    [(1e6, "1,000,000"), (1_234_567, "1,234,567"), (0.5, "0.5"), (100, "100"), (0, "0")],
)
def test_a_number_is_shown_without_an_exponent(number: float, text: str) -> None:
    assert plain(number) == text
