"""Functions of text, dates and durations; hidden fields; and what ``now`` means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest

from dataworks_tasks.errors import TemplateError
from dataworks_tasks.generate.templates.load_template import document_source, parse_template
from tests.unit.generate.examples import documents

DAY = "2024-02-29T13:05:09.250Z"
CONTENT = {
    "n": {"type": "constant", "constVal": 3},
    "gone": {"type": "int", "missing": 100},
    "none": {"type": "string", "null": 100},
    "word": {"type": "constant", "constVal": "Kärnten ist schön"},
    "day": {"type": "date", "startDate": DAY, "endDate": DAY},
    "later": {"type": "date", "startDate": "2024-03-03T13:05:09.250Z",
              "endDate": "2024-03-03T13:05:09.250Z"},
}  # fmt: skip


def value_of(expression: str) -> Any:
    field = {"type": "expr", "expr": expression}
    document = documents({**CONTENT, "x": field}, 1)[0]
    return document["x"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("coalesce(gone, n)", 3), ("coalesce(gone, gone + 1, 7)", 7), ("coalesce(none, word)",
         "Kärnten ist schön"), ("coalesce(gone, gone)", None), ("isNull(gone)", True),
        ("isNull(n) or isNull(none)", True), ("isNull(n)", False),
        ("substr(word, 0, 7)", "Kärnten"), ("substr(word, 8)", "ist schön"),
        ("substr(word, -5)", "schön"), ("substr(word, 99, 2)", ""), ("substr(gone2, 1)", None),
        ("replace(word, 'ist', 'war')", "Kärnten war schön"), ("pow(n, 4)", 81), ("pow(n, 0)", 1),
        ("pow(2.0, -2)", 0.25), ("pow(2.25, 0.5)", 1.5), ("pow(0 - n, 0.5)", None),
        ("day + 3d", datetime(2024, 3, 3, 13, 5, 9, 250_000)),
        ("1h30m + day", datetime(2024, 2, 29, 14, 35, 9, 250_000)),
        ("day - 1w - 250ms", datetime(2024, 2, 22, 13, 5, 9)),
        ("day + n * 1d", datetime(2024, 3, 3, 13, 5, 9, 250_000)),
        ("day + 1d * 0.5", datetime(2024, 3, 1, 1, 5, 9, 250_000)),
        ("seconds(later - day)", 3 * 86_400.0), ("seconds(later, day) == seconds(3d)", True),
        ("later - day > 2d and later - day < 4d", True), ("day < day + 1ms", True),
        ("gone * 1d + day", None), ("year(day)", 2024), ("month(day)", 2), ("day(day)", 29),
        ("weekday(day)", 4), ("hour(day)", 13), ("weekday(day + 3d)", 7),
        ("format(day, '%d.%m.%Y %H:%M')", "29.02.2024 13:05"), ("format(2.5, 2)", "2.50"),
        ("format(n, 0)", "3"), ("format(gone, 2)", None), ("format(day, '100%%')", "100%"),
        ("format(day - 365d * 2000, '%d.%m.%Y, %%Y, %y, %a')", "28.06.0025, %Y, 25, Sat"),
        ("format(day + 365d * 8000, '%Y-%m-%d')", "10018-11-07"),
        ("if(n > 5, 9223372036854775807 + n, n)", 3),
        ("if(n < 5, n, 9223372036854775807 * n)", 3),
    ],
)  # fmt: skip
def test_functions(text: str, value: object) -> None:
    assert value_of(text.replace("gone2", "none")) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3d", "is a duration"), ("later - day", "is a duration"), ("day + 3", "takes a number"),
        ("day + day", "takes a number"), ("concat(3d)", "not a duration"), ("coalesce(n, word)",
         "cannot mix"), ("substr(word)", "takes 2 or more"), ("substr(n, 1)", "takes a text"),
        ("pow(n, n)", "as a number from -64 to 64"), ("pow(n, 1.5)", "as a number"),
        ("pow(n, 65)", "as a number"), ("format(day, '%Q')", "%Q is not one of"),
        ("format(day, word)", "in quotes"), ("format(n, n)", "in quotes, or decimals"),
        ("format(n, 99)", "from 0 to 15"), ("index()", "elements of an array"),
        ("now(1)", "there is no function 'now'"), ("99999999999999999w", "too long"),
        ("3dx", "unexpected"), ("month(n)", "takes a date"), ("3d == 3", "cannot mix"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(TemplateError) as caught:
        value_of(text)
    assert said in str(caught.value)


def test_substrings_by_row_and_elements_by_index() -> None:
    made = documents({
        "n": {"type": "int", "min": 0, "max": 5},
        "w": {"type": "string", "minLength": 6, "maxLength": 6},
        "x": {"type": "expr", "expr": "substr(w, n, 1)"},
        "a": {"type": "array", "minLength": 1, "maxLength": 4, "arrayContent": {
            "type": "object", "missing": 30, "objectContent": {
                "i": {"type": "expr", "expr": "index()"},
                "label": {"type": "expr", "expr": "concat('line ', index() + 1, ' of ', n)"}}}},
        "plain": {"type": "array", "size": 3, "arrayContent":
                  {"type": "expr", "expr": "index() * 10"}},
    })  # fmt: skip
    for entry in made:
        assert entry["x"] == entry["w"][entry["n"]]
        assert [line["i"] for line in entry["a"]] == list(range(len(entry["a"])))
        assert all(line["label"].endswith(f" of {entry['n']}") for line in entry["a"])
        assert entry["plain"] == [0, 10, 20]


def test_hidden_fields_are_for_expressions_only() -> None:
    """The person whose name, sex, e-mail and age agree."""
    made = documents({
        "female": {"type": "boolean", "hidden": True},
        "woman": {"type": "faker", "method": "first_name_female", "hidden": True},
        "man": {"type": "faker", "method": "first_name_male", "hidden": True},
        "name": {"type": "expr", "expr": "if(female, woman, man)"},
        "sex": {"type": "expr", "expr": "if(female, 'f', 'm')"},
        "email": {"type": "expr", "expr": "concat(slug(name), '@example.com')"},
        "in": {"type": "object", "objectContent": {
            "secret": {"type": "int", "hidden": True},
            "twice": {"type": "expr", "expr": "secret * 2"}}},
    })  # fmt: skip
    shown = {"_id", "name", "sex", "email", "in"}
    assert all(entry.keys() == shown and entry["in"].keys() == {"twice"} for entry in made)
    plain = documents({"female": {"type": "boolean"}}, 300)
    for entry, known in zip(made, plain, strict=True):
        assert entry["sex"] == ("f" if known["female"] else "m")
        assert entry["email"].split("@")[0] == entry["name"].lower()


@pytest.mark.parametrize("content", [
    {"_id": {"type": "objectId", "hidden": True}},
    {"a": {"type": "array", "arrayContent": {"type": "int", "hidden": True}}},
])  # fmt: skip
def test_what_cannot_be_hidden(content: dict[str, Any]) -> None:
    with pytest.raises(TemplateError, match="hidden: is for fields of an object"):
        documents(content, 1)


NOW = {
    "at": {"type": "expr", "expr": "now()"},
    "recent": {"type": "date", "startDate": "now-1h", "endDate": "now"},
    "next": {"type": "date", "startDate": "now", "endDate": "now+7d"},
    "age": {"type": "expr", "expr": "seconds(now() - recent)"},
}


def generated(template: Any, count: int = 50) -> list[dict[str, Any]]:
    return bson.decode_all(document_source(template, 0, 1).generate(0, count).data)


@pytest.mark.parametrize("form", ["object", "list"])
def test_now_is_fixed_for_a_run(form: str) -> None:
    collection = {"collection": "c", "content": NOW}
    template = parse_template(collection if form == "object" else [collection], "t")
    again = parse_template(json.loads(json.dumps(template.document)), "t")
    made = generated(template)
    assert generated(again) == made
    moment = made[0]["at"]
    assert abs(datetime.now(UTC).replace(tzinfo=None) - moment) < timedelta(minutes=1)
    for entry in made:
        assert moment - timedelta(hours=1) <= entry["recent"] < moment <= entry["next"]
        assert entry["next"] < moment + timedelta(days=7)
        assert 0 <= entry["age"] <= 3600


def test_a_template_can_say_what_now_is() -> None:
    template = parse_template({"now": "2025-06-01T12:00:00Z", "content": NOW}, "t")
    assert generated(template)[0]["at"] == datetime(2025, 6, 1, 12)
    without = parse_template({"content": {"a": {"type": "int"}}}, "t")
    assert "now" not in without.document
