"""Reading templates: all forms, and every error with its place and a hint."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import bson
import pytest

from dataworks_tasks.errors import TemplateError, UnknownName
from dataworks_tasks.generate.fields.gofakeit_names import FAKER_METHODS
from dataworks_tasks.generate.templates.load_template import (
    builtin_templates,
    document_source,
    load_template,
    parse_template,
)
from tests.unit.generate.examples import documents


def findings(content: Any) -> dict[str, str]:
    with pytest.raises(TemplateError) as caught:
        parse_template({"collection": "c", "content": content}, "t")
    return dict(caught.value.findings)


MGODATAGEN = """
// A file as an mgodatagen user has it.
[{
  "database": "test", "collection": "link", "COUNT": "20", "compressionLevel": "snappy",
  "indexes": [{"name": "i", "key": {"b": -1, "a": 1}, "expireAfterSeconds": 60}],
  "shardConfig": {"shardCollection": "test.link", "key": {"_id": "hashed"}},
  "content": {
    "a": {"type": "Int", "MinInt": "3", "maxInt": 5}, # aliases and quoted numbers
    "b": {"type": "fromArray", "in": ["x", "y"]},
    "c": {"type": "position", "nullPercentage": 50},
    "d": {"type": "faker", "method": "CompanySuffix"},
    "e": {"type": "countAggregator", "collection": "other", "query": {"a": "$$a"}}
  }
}, {"database": "test", "collection": "other", "count": 5,
    /* two */ "content": {"f": {"type": "ref", "id": 2, "refContent": {"type": "long"}}}}]
"""


def test_a_file_of_mgodatagen(tmp_path: Path) -> None:
    path = tmp_path / "conf.json"
    path.write_text(MGODATAGEN)
    template = load_template(str(path))
    first, second = template.collections
    assert (template.name, first.name, second.name) == ("conf", "test.link", "test.other")
    assert (first.database, first.collection, first.count) == ("test", "link", 20)
    assert list(first.indexes[0]["key"].items()) == [("b", -1), ("a", 1)]
    assert first.indexes[0]["expireAfterSeconds"] == 60
    assert first.compression_level == "snappy"
    assert first.shard_config == {"key": {"_id": "hashed"}, "shardCollection": "test.link"}
    assert first.aggregators[0]["target"] == "e"
    made = bson.decode_all(document_source(template, 0, 1).generate(0, 20).data)
    assert {entry["b"] for entry in made} == {"x", "y"}
    assert {entry["a"] for entry in made} == {3, 4, 5}
    assert all("e" not in entry for entry in made)


def test_a_template_goes_through_json() -> None:
    for name in builtin_templates():
        template = load_template(name)
        again = parse_template(json.loads(json.dumps(template.document)), "spec")
        one = document_source(template, 0, 7).generate(0, 50)
        assert document_source(again, 0, 7).generate(0, 50).data == one.data
        assert again.name == template.name


def test_every_finding_at_once() -> None:
    found = findings({
        "a": {"type": "int", "min": 5, "max": 1},
        "b": {"type": "sting"},
        "c": {"type": "string", "maxLenght": 3},
        "d": {"type": "object", "objectContent": {"e": {"type": "faker", "method": "adress"}}},
        "f": {"type": "array", "arrayContent": {"type": "enum", "values": []}},
        "g": {"type": "expr", "expr": "1 +"},
        "h": {"type": "expr", "expr": "dd.x + 1"},
        "i": {"type": "pattern", "pattern": "[a-"},
        "j": {"type": "date", "after": "a"},
        "k": {"type": "reference", "to": "nobody"},
        "l": {"type": "int", "missing": 60, "null": 50},
        "m": {"type": "faker", "method": "name", "args": {"size": 1}},
        "n": {"type": "date", "startDate": "tomorrow"},
        "o": {"type": "boolean", "when": "a + 1"},
    })  # fmt: skip
    assert len(found) == 14
    assert "less than min" in found["c.a.max"]
    assert "Did you mean string" in found["c.b.type"]
    assert "Did you mean 'maxLength'" in found["c.c.maxLenght"]
    assert "address" in found["c.d.e.method"]
    assert "c.f[].values" in found
    assert "unexpected end" in found["c.g.expr"]
    assert "there is no field 'dd'" in found["c.h.expr"]
    assert "not a date" in found["c.j.after"]
    assert "more than 100" in found["c.l.null"]
    assert "true or false" in found["c.o.when"]


def test_an_error_survives_pickling() -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template({"content": {"a": {"type": "nope"}}}, "t")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - made two lines above
    assert str(again) == str(caught.value)


def test_syntax_errors_say_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{\n  // "quoted" comment\n  "a": 1,\n  "b" 2\n}')
    with pytest.raises(TemplateError, match="line 4, column 7"):
        load_template(str(path))
    path.write_text('{"content": {}, "content": {}}')
    with pytest.raises(TemplateError, match="twice"):
        load_template(str(path))


def test_names_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="service_order"):
        load_template("service_orders")
    with pytest.raises(UnknownName, match="No such file"):
        load_template(str(tmp_path / "gone.json"))


@pytest.mark.parametrize(
    "document", [None, 3, "x", [], [3], {}, {"content": 3}, {"collections": 1}]
)
def test_what_is_no_template_is_refused(document: Any) -> None:
    with pytest.raises(TemplateError):
        parse_template(document, "t")


@pytest.mark.parametrize("weight", ["nan", "inf", 1e301, True, [], "x", -1])
def test_what_is_no_number_is_refused(weight: object) -> None:
    field = {"type": "enum", "values": [1, 2], "weights": [1, weight]}
    assert list(findings({"a": field})) == ["c.a.weights"]


@pytest.mark.parametrize(
    "field",
    [
        {"type": "int"},
        {"type": "string", "minLength": 12, "maxLength": 12},
        {"type": "constant", "constVal": 1},
        {"type": "uuid", "missing": 1},
        {"type": "sequence", "maxDistinctValue": 3},
    ],
)
def test_an_id_that_may_repeat_is_refused(field: dict[str, Any]) -> None:
    assert "must be unique" in findings({"_id": field})["c._id"]


def test_fields_made_from_themselves_are_refused() -> None:
    circle = {"a": {"type": "expr", "expr": "b + 1"}, "b": {"type": "expr", "expr": "a + 1"}}
    assert "c.a from c.b from c.a" in findings(circle)["c.a"]
    themselves = {"x": {"type": "reference", "to": "c", "field": "x"}}
    with pytest.raises(TemplateError, match="depends on itself"):
        parse_template({"collection": "c", "count": 5, "content": themselves}, "t")


@pytest.mark.parametrize("method", ["pydict", "profile", "lexifyx", "color_hsl", "_x"])
def test_faker_methods_that_cannot_be_repeated_are_refused(method: str) -> None:
    assert list(findings({"a": {"type": "faker", "method": method}})) == ["c.a.method"]


@pytest.mark.parametrize("method", sorted(set(FAKER_METHODS.values())))
def test_gofakeit_names_lead_to_methods_that_repeat(method: str) -> None:
    field = {"type": "faker", "method": method, "pool": 0}
    assert documents({"x": field}, 3) == documents({"x": field}, 3)


def test_repeated_values_see_nothing_of_their_document() -> None:
    inner = {"type": "object", "maxDistinctValue": 3, "objectContent": {
        "a": {"type": "int"}, "twice": {"type": "expr", "expr": "a * 2"}}}  # fmt: skip
    made = documents({"n": {"type": "int"}, "x": inner})
    assert len({entry["x"]["a"] for entry in made}) == 3
    assert all(entry["x"]["twice"] == 2 * entry["x"]["a"] for entry in made)
    inner["objectContent"]["twice"]["expr"] = "n * 2"  # type: ignore[index]
    assert "there is no field 'n'" in findings({"n": {"type": "int"}, "x": inner})["c.x.twice.expr"]


def test_expressions_may_stand_before_what_they_need() -> None:
    made = documents({
        "total": {"type": "expr", "expr": "if(big, 2, 1)"},
        "big": {"type": "expr", "expr": "twice > 10"},
        "twice": {"type": "expr", "expr": "n * 2"},
        "n": {"type": "int", "max": 10},
    })  # fmt: skip
    for entry in made:
        assert entry["total"] == (2 if entry["n"] * 2 > 10 else 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("-n - -1", -2), ("7 % 4", 3.0), ("7 / 2", 3.5),
        ("1 / 0", None), ("gone + 1", None), ("gone == 1", False), ("not (n > 3)", True),
        ("n >= 3 and n != 4 or false", True), ("round(2.675, 2)", 2.68), ("round(2.5)", 2.0),
        ("concat('a', n, '-', 1.5, true)", "a3-1.5true"), ("slug('Ærø Café!')", "aero-cafe"),
        ("slug('\N{MATHEMATICAL FRAKTUR CAPITAL U}x')", "ux"),
        ("title(lower('ABC d'))", "Abc D"), ("min(n, 2, 9)", 2), ("max(n, 2.5)", 3.0),
        ("sum(list)", 6), ("avg(list)", 2.0), ("count(list)", 3), ("min(list)", 2),
        ("sum(none)", 0), ("max(none)", None), ("length('äö')", 2), ("year(day)", 2024),
        ("seconds(day, day)", 0.0), ("if(n == 3, 'yes', 'no')", "yes"), ("name == 'x'", True),
        ("floor(2.9) + ceil(2.1)", 5), ("abs(-2)", 2), ("upper(name)", "X"),
    ],
)  # fmt: skip
def test_expressions(text: str, value: object) -> None:
    two = {"type": "constant", "constVal": 2}
    (made,) = documents({
        "n": {"type": "constant", "constVal": 3},
        "gone": {"type": "int", "missing": 100},
        "name": {"type": "enum", "values": ["x"]},
        "day": {"type": "date", "startDate": "2024-02-29", "endDate": "2024-03-01"},
        "list": {"type": "array", "size": 3, "arrayContent": two},
        "none": {"type": "array", "size": 0, "arrayContent": two},
        "x": {"type": "expr", "expr": text},
    }, 1)  # fmt: skip
    assert made["x"] == value
    assert isinstance(made["x"], bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "(1", "nope(1)", "a.b.c", "'a' + 1", "1 < 'a'", "__import__('os')", "n n", "1;2",
     "round('x')", "sum(n)", "(" * 60 + "1" + ")" * 60, "+".join(["1"] * 500), "if(1, 2, 3)",
     "n[0]"],
)  # fmt: skip
def test_bad_expressions_are_refused(text: str) -> None:
    found = findings({"n": {"type": "int"}, "x": {"type": "expr", "expr": text}})
    assert list(found) == ["c.x.expr"]
