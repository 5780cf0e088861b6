"""A unique index that the values cannot fill is refused before the run; others are not."""

from __future__ import annotations

from typing import Any

import pytest

from dataworks_tasks.errors import TemplateError, UsageError
from dataworks_tasks.generate.templates.load_template import (
    builtin_templates,
    load_template,
    parse_template,
)

FAKER = {"type": "faker", "method": "email"}
NAME = {"type": "faker", "method": "first_name"}
CODE = {"type": "pattern", "pattern": "[A-Z]{3}"}
LONG = {"type": "string", "minLength": 12, "maxLength": 12}
EXPR = {"type": "expr", "expr": "concat(slug(name), '@example.com')"}
NUMBERED = {"type": "expr", "expr": "concat(slug(name), n)"}
NUMBER = {"type": "autoincrement"}
IN = {"type": "object", "objectContent": {"code": CODE}}


def check(content: dict[str, Any], total: int, *indexes: dict[str, Any]) -> None:
    document = {"collection": "c", "content": content, "indexes": list(indexes)}
    parse_template(document, "t").check_total(0, total)


def unique(*fields: str, **more: Any) -> dict[str, Any]:
    return {"key": dict.fromkeys(fields, 1), "unique": True, **more}


@pytest.mark.parametrize(
    ("content", "fields", "total"),
    [
        ({"x": FAKER}, "x", 3000),
        ({"x": CODE}, "x", 500),
        ({"x": IN}, "x.code", 500),
        ({"x": {"type": "int", "max": 10**6}}, "x", 3000),
        ({"x": {"type": "boolean"}}, "x", 3),
        ({"x": {"type": "enum", "values": [1, 2, 3]}}, "x", 4),
        ({"x": {"type": "enum", "values": [1, 2, 2]}}, "x", 3),
        ({"x": {"type": "enum", "values": [1, 2, 3], "weights": [1, 1, 1]}}, "x", 3),
        ({"x": {"type": "string"}}, "x", 100),
        ({"x": {"type": "constant", "constVal": 1}}, "x", 2),
        ({"x": LONG}, "gone", 2),
        ({"x": {**LONG, "missing": 10}}, "x", 100),
        ({"x": {**NUMBER, "maxDistinctValue": 50}}, "x", 51),
        ({"name": NAME, "x": EXPR}, "x", 3000),
        ({"x": NAME, "y": {"type": "boolean"}}, "x y", 3000),
        ({"x": {"type": "stringFromParts", "parts": [CODE, CODE]}}, "x", 30_000),
        ({"x": {"type": "oneOf", "variants": [LONG, CODE]}}, "x", 2000),
        ({"a": {"type": "boolean"}, "x": {**LONG, "when": "a"}}, "x", 100),
        ({"x": {"type": "date", "startDate": "2024-01-01", "endDate": "2024-01-02"}}, "x", 20_000),
        ({"x": {"type": "double", "max": 9, "decimals": 1}}, "x", 30),
        ({"x": {"type": "decimal", "max": 9, "scale": 1}}, "x", 30),
        ({"x": {"type": "binary", "size": 1, "maxLength": 1}}, "x", 40),
        ({"x": {"type": "array", "size": 2, "arrayContent": NAME}}, "x", 3000),
        ({"x": {"type": "array", "size": 1, "arrayContent": IN}}, "x.code", 500),
    ],
)
def test_values_that_repeat_are_refused(content: dict[str, Any], fields: str, total: int) -> None:
    with pytest.raises(UsageError, match=r"unique index .* cannot be built: about \d"):
        check(content, total, unique(*fields.split()))
    check(content, 1, unique(*fields.split()))


@pytest.mark.parametrize(
    ("content", "index", "total"),
    [
        ({"x": LONG}, unique("x"), 10**6),
        ({"x": {"type": "uuid"}}, unique("x"), 10**9),
        ({"x": {"type": "enum", "values": [1, 2, 3]}}, unique("x"), 3),
        ({"n": NUMBER, "name": NAME, "x": NUMBERED}, unique("x"), 10**6),
        ({"n": NUMBER, "x": NAME}, unique("x", "n"), 10**6),
        ({"x": {**LONG, "missing": 10}}, unique("x", sparse=True), 1000),
        ({"x": FAKER}, unique("x", partialFilterExpression={"x": {"$gt": "z"}}), 3000),
        ({"x": {"type": "array", "arrayContent": NAME}}, unique("x"), 1000),
        ({"x": {"type": "array", "size": 3, "arrayContent": {"type": "uuid"}}}, unique("x"), 10**6),
        ({"x": FAKER}, {"key": {"x": 1}}, 10**6),
        ({"x": {"type": "unique", "min": 1, "max": 500}}, unique("x"), 500),
        ({"n": {"type": "countAggregator", "collection": "c", "query": {}}}, unique("n"), 100),
        ({"x": {"type": "date", "series": {"step": "1s"}}}, unique("x"), 10**6),
    ],
)
def test_indexes_that_can_be_built_are_not(
    content: dict[str, Any], index: dict[str, Any], total: int
) -> None:
    check(content, total, index)


def test_those_of_the_built_in_templates_can_be_built() -> None:
    for name in builtin_templates():
        template = load_template(name)
        for position, collection in enumerate(template.collections):
            template.check_total(position, collection.count or 10**9)


@pytest.mark.parametrize("kind", ["btree", "geoHaystack", "2Dsphere", 0, None, True, []])
def test_unknown_kinds_of_index_are_refused(kind: Any) -> None:
    document = {"content": {}, "indexes": [{"key": {"x": kind}}]}
    with pytest.raises(TemplateError, match=r"indexes\[0\]\.key\.x"):
        parse_template(document, "t")


@pytest.mark.parametrize(
    ("indexes", "place"),
    [
        ([{"key": {"x": 1}, "name": "i"}, {"key": {"y": 1}, "name": "i"}], r"\[1\]\.name"),
        ([{"key": {"x": 1}}, {"key": {"x": 1}, "name": "i", "unique": True}], r"\[1\]\.key"),
        ([{"key": {"x": 1}, "name": ""}], r"\[0\]\.name"),
        ([{"key": {"x..y": 1}}], r"\[0\]\.key"),
        ([{"key": {"x": 1}, "expireAfterSeconds": -1}], r"\[0\]\.expireAfterSeconds"),
    ],
)
def test_indexes_that_no_server_builds_are_refused(indexes: list[Any], place: str) -> None:
    with pytest.raises(TemplateError, match=f"indexes{place}"):
        parse_template({"content": {}, "indexes": indexes}, "t")


def test_two_indexes_of_one_key_differ_by_their_collation() -> None:
    german = {"key": {"x": 1}, "name": "german", "collation": {"locale": "de"}}
    parse_template({"content": {}, "indexes": [{"key": {"x": 1}}, german]}, "t")


@pytest.mark.parametrize("count", [0, -1, "0"])
def test_a_count_of_nothing_is_refused(count: Any) -> None:
    with pytest.raises(TemplateError, match="count: must be between 1"):
        parse_template({"content": {}, "count": count}, "t")
