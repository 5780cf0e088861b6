"""A configuration of mgodatagen as its users have it: every type, option and method name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from click.testing import CliRunner

from dataworks_tasks.generate.templates.load_template import (
    document_source,
    load_template,
    parse_template,
)
from producer.cli.templates import command
from tests.unit.generate.examples import documents

FILE = Path(__file__).with_name("mgodatagen.json")
METHODS = re.findall(r"\w+", """
Animal AnimalType BS BeerAlcohol BeerBlg BeerHop BeerIbu BeerMalt BeerName BeerStyle BeerYeast
BuzzWord CarFuelType CarMaker CarModel CarTransmissionType CarType Cat CellPhoneNumber
ChromeUserAgent City CityPrefix CitySuffix Color Company CompanyBs CompanyCatchPhrase CompanyName
CompanySuffix Country CountryAbr CreditCardCvv CreditCardExp CreditCardType CurrencyLong
CurrencyShort Dog DomainName DomainSuffix DomainWord Email Emoji EmojiAlias EmojiCategory
EmojiDescription EmojiTag FarmAnimal FileExtension FileMimeType FirefoxUserAgent FirstName FreeEmail
Gender HTTPMethod HackerAbbreviation HackerAdjective HackerNoun HackerPhrase HackerVerb
HackeringVerb HexColor HipsterWord IPv4Address IPv6Address JobDescriptor JobLevel JobTitle Language
LanguageAbbreviation LastName Letter MacAddress Month Name NamePrefix NameSuffix OperaUserAgent
PetName Phone PhoneFormatted PhoneNumber PostCode ProgrammingLanguage ProgrammingLanguageBest
Question Quote SSN SafariUserAgent SafeColor SafeEmail SecondaryAddress State StateAbbr StateAbr
Street StreetAddress StreetName StreetNumber StreetPrefix StreetSuffix TimeZone TimeZoneAbv
TimeZoneFull URL UserAgent UserName Username WeekDay Word Zip
""")  # fmt: skip
UNSPOKEN = ["Date", "Day", "Hour", "NanoSecond", "Year", "FutureDate", "PastDate", "Price"]


def made() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    template = load_template(str(FILE))
    types, link = (document_source(template, position, 3).generate(0, 300) for position in (0, 1))
    return bson.decode_all(types.data), bson.decode_all(link.data)


def within(entries: list[Any], least: Any, most: Any) -> bool:
    return bool(least <= min(entries) and max(entries) <= most)


def test_numbers_and_texts_are_what_the_format_says() -> None:
    entries, _ = made()
    columns = {name: [e[name] for e in entries if name in e] for name in entries[0] | entries[3]}
    assert within([len(text) for text in columns["s0"]], 0, 8)
    assert within([len(text) for text in columns["s1"]], 15, 20)
    assert len(set(columns["s1"])) == 50
    assert len(set(columns["s2"])) == 300
    assert columns["s2"][:2] == ["AAA", "AAB"]
    assert within(columns["i0"], 0, 2**31 - 1)
    assert max(columns["i0"]) > 2**30
    assert set(columns["i1"]) == set(range(10, 21))
    assert set(columns["i2"]) == set(range(-10, -4))
    assert len(columns["l1"]) == 270
    assert within(columns["l1"], 100, 200)
    assert set(columns["l2"]) == {-100020}
    assert within(columns["d1"], 1, 10)
    assert within(columns["dt"], datetime(2010, 1, 10), datetime(2017, 1, 1, 22))
    assert columns["e0"][:3] == ["x", "y", "x"]
    assert set(columns["e1"]) == {1, 4, 12}
    assert [columns[name][:2] for name in ("a0", "a1", "a2")] == [[0, 1], [18, 19], [3, 4]]
    assert {type(entry).__name__ for entry in columns["a1"]} == {"Int64"}
    assert set(columns["b"]) == {True, False}


def test_values_of_other_types_are_what_the_format_says() -> None:
    entries, link = made()
    first = entries[0]
    for entry in entries:
        assert within([len(entry["ar0"]), 0], 0, 3)
        assert entry["ar1"] == ["A", "C", "G"] * 2
        assert within([abs(degree) for degree in entry["c"] + entry["c2"]], 0, 180)
        assert len(entry["bin"]) in range(24, 41)
        assert len(entry["bin0"]) in range(11)
    assert [len(text) in range(1, 4) for text in first["ar2"]] == [True] * 3
    assert len(first["ub"]) == 16
    assert first["ub"].subtype == 4
    assert (first["k0"], first["k1"], first["k3"]) == (2, {"k": 1, "v": ["val", None]}, None)
    assert first["k2"] == bson.ObjectId("5a934e000102030405000000")
    assert sum("s-k" in entry["ob"]["sub-ob"] for entry in entries) == 150
    shape = re.compile(r"\d+@(a\.com|b\.org)[0-9a-f]{24}\d+https?://.*(true|false)\[.*\].*Z")
    assert all(shape.match(entry["p"]) for entry in entries)
    owners = {entry["_id"] for entry in entries}
    assert {ref for entry in link for ref in [entry["ref"], *entry["arrRef"]]} <= owners
    assert {len(entry["arrRef"]) for entry in link} == {3, 4}
    assert not {"n", "v", "bd"} & set(first)


def test_indexes_keep_their_options() -> None:
    template = load_template(str(FILE))
    indexes = {index["name"]: index for index in template.collections[0].indexes}
    assert list(indexes["i1"]["key"].items()) == [("i1", 1), ("s1", -1)]
    assert indexes["i2"]["weights"] == {"s0": 3}
    assert (indexes["i2"]["default_language"], indexes["i2"]["language_override"]) == (
        "english",
        "lang",
    )
    assert (indexes["i3"]["min"], indexes["i3"]["max"], indexes["i3"]["bits"]) == (-180, 180, 26)
    assert indexes["i6"]["collation"]["numericOrdering"] is True
    assert indexes["i7"]["2dsphereIndexVersion"] == 3
    assert "dropDups" not in indexes["i1"]
    assert len(template.collections[0].aggregators) == 3


def test_an_option_that_is_gone_is_ignored_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    checked = CliRunner().invoke(command, ["check", str(FILE)])
    assert checked.exit_code == 0
    assert "indexes[0]: dropDups is ignored" in caplog.text


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_text_without_a_clock(method: str) -> None:
    field = {"type": "faker", "method": method, "pool": 3}
    texts = [entry["x"] for entry in documents({"x": field}, 5)]
    assert all(isinstance(text, str) and text for text in texts)


@pytest.mark.parametrize("method", [*UNSPOKEN, "date_time", "date_of_birth", "month_name"])
def test_methods_that_read_a_clock_have_a_fixed_one(method: str) -> None:
    values = [entry["x"] for entry in documents({"x": {"type": "faker", "method": method}}, 50)]
    dates = [value for value in values if isinstance(value, datetime)]
    assert all(date.replace(tzinfo=UTC) < datetime(2030, 1, 1, tzinfo=UTC) for date in dates)
    assert values == [e["x"] for e in documents({"x": {"type": "faker", "method": method}}, 50)]


def test_no_indexes_and_no_content_are_fine() -> None:
    entry = {"database": "d", "collection": "c", "count": 1, "content": {}, "indexes": []}
    assert parse_template([entry], "t").collections[0].indexes == ()
