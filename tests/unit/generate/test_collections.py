"""Counts that scale, options of collections, mixed locales, and names of faker-js."""

from __future__ import annotations

from typing import Any

import bson
import pytest

from dataworks_tasks.errors import TemplateError, UsageError
from dataworks_tasks.generate.templates.load_template import (
    document_source,
    load_template,
    parse_template,
    scaled,
)
from tests.unit.generate.examples import documents

TIMED = {"at": {"type": "date"}, "maybe": {"type": "date", "missing": 1}, "n": {"type": "int"}}


def test_scaled_counts_keep_references_inside() -> None:
    template = scaled(load_template("shop"), 0.01)
    assert [entry.count for entry in template.collections] == [100, 10, 500]
    made = [
        bson.decode_all(document_source(template, position, 1).generate(0, entry.count or 0).data)
        for position, entry in enumerate(template.collections)
    ]
    customers = {entry["_id"] for entry in made[0]}
    assert {entry["customerId"] for entry in made[2]} <= customers
    assert [entry.count for entry in scaled(template, 1e-9).collections] == [1, 1, 1]
    upper = parse_template([{"Collection": "c", "COUNT": "8", "content": {}}], "t")
    assert scaled(upper, 2).collections[0].count == 16
    with pytest.raises(UsageError, match="no count"):
        scaled(load_template("service_order"), 2)


def options(**given: Any) -> Any:
    document = {"collection": "c", "content": TIMED, "options": given}
    return parse_template(document, "t").collections[0].options


def test_options_are_those_of_the_create_command() -> None:
    series = {"timeField": "at", "metaField": "n"}
    assert options(timeseries=series, expireAfterSeconds=60)["timeseries"] == series
    assert options(capped=True, size=4096) == {"capped": True, "size": 4096}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"timeseries": {"timeField": "n"}}, "must be a date that every document has"),
        ({"timeseries": {"timeField": "maybe"}}, "must be a date that every document has"),
        ({"timeseries": {"timeField": "gone"}}, "must be a date that every document has"),
        ({"timeseries": {}}, "needs timeField"),
        ({"capped": True}, "needs size"),
        ({"capped": 1}, "capped: must be true or false, not 1"),
        ({"size": True}, "size: must be a whole number, not true"),
        ({"validator": []}, "validator: must be an object, not []"),
        ({"viewOn": "x"}, "viewOn: unknown key"),
    ],
)
def test_other_options_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        options(**given)
    assert said in str(caught.value)


def test_fields_with_one_mix_have_one_locale() -> None:
    mix = {"en_US": 70, "ja_JP": 30, "de_DE": 0}
    made = documents({
        "first": {"type": "faker", "method": "first_name", "locale": mix},
        "last": {"type": "faker", "method": "last_name", "locale": mix},
        "both": {"type": "expr", "expr": "concat(first, ' ', last)"},
        "any": {"type": "faker", "method": "city", "locale": ["en_US", "ja_JP"]},
    }, 2000)  # fmt: skip
    japanese = [not entry["first"].isascii() for entry in made]
    assert 0.26 < sum(japanese) / 2000 < 0.34
    assert [not entry["last"].isascii() for entry in made] == japanese
    assert all(entry["both"] == f"{entry['first']} {entry['last']}" for entry in made)


@pytest.mark.parametrize("locale", [{}, {"en_US": 0}, {"en_US": "x"}, {"en_XX": 1}, [], 3, [1]])
def test_locales_that_are_wrong_are_refused(locale: Any) -> None:
    with pytest.raises(TemplateError, match="locale"):
        documents({"x": {"type": "faker", "method": "name", "locale": locale}}, 1)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("person.firstName", "here it is 'first_name'"),
        ("faker.internet.email()", "here it is 'email'"),
        ("location.zipCode", "here it is 'postcode'"),
        ("date.past", "use the type date"),
        ("helpers.arrayElement", "use the type enum"),
        ("catchphrases", "Did you mean catch_phrase"),
    ],
)
def test_names_of_faker_js_are_known(method: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        documents({"x": {"type": "faker", "method": method}}, 1)
    assert said in str(caught.value)


def test_a_finding_of_one_collection_begins_with_its_key() -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template({"collection": "c", "content": {}, "options": {"capped": True}}, "t")
    assert "t: options.capped: needs size" in str(caught.value)
