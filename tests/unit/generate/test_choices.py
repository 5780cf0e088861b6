"""Choice by another field, lengths by another field, maps and polygons."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from dataworks_tasks.errors import TemplateError
from tests.unit.generate.examples import documents

STATUS = {"type": "enum", "values": ["card", "cash", "bank", "other"], "randomOrder": True}
CASES = {"card": {"type": "pattern", "pattern": "\\d{16}"}, "cash": {"type": "constant",
         "constVal": "none"}, "bank": {"type": "expr", "expr": "concat('DE', n)"}}  # fmt: skip
NUMBER = {"type": "int", "min": 0, "max": 9}


def test_a_variant_by_another_field() -> None:
    made = documents({
        "kind": {**STATUS, "missing": 10}, "n": {"type": "autoincrement"},
        "account": {"type": "oneOf", "by": "kind", "cases": CASES},
        "always": {"type": "oneOf", "by": "kind", "cases": CASES,
                   "else": {"type": "constant", "constVal": "?"}},
        "length": {"type": "expr", "expr": "length(always)"},
        "known": {"type": "expr", "expr": "not isNull(account)"},
        "grade": {"type": "oneOf", "by": "n % 3", "cases": {"0": NUMBER, "2": NUMBER}},
        "sum": {"type": "expr", "expr": "coalesce(grade, 100) + 1"},
        "flag": {"type": "oneOf", "by": "n > 150", "cases": {"true": NUMBER}},
    })  # fmt: skip
    for entry in made:
        kind = entry.get("kind", "")
        expected = {"card": 16, "cash": 4, "bank": 2 + len(str(entry["n"]))}.get(kind, 1)
        assert entry["length"] == len(entry["always"]) == expected
        assert ("account" in entry) == entry["known"] == (kind in CASES)
        assert ("grade" in entry) == (entry["n"] % 3 != 1)
        assert entry["sum"] == entry.get("grade", 100) + 1
        assert ("flag" in entry) == (entry["n"] > 150)


def test_variants_of_one_kind_can_be_computed_with() -> None:
    made = documents({
        "x": {"type": "oneOf", "variants": [NUMBER, {"type": "double", "min": 10, "max": 20}]},
        "y": {"type": "expr", "expr": "x * 2"},
    })  # fmt: skip
    assert all(entry["y"] == entry["x"] * 2 for entry in made)
    assert {type(entry["x"]) for entry in made} == {int, float}


def test_the_length_of_an_array_by_another_field() -> None:
    made = documents({
        "n": NUMBER, "gone": {"type": "int", "missing": 50},
        "items": {"type": "array", "length": "n", "maxLength": 9, "arrayContent": NUMBER},
        "capped": {"type": "array", "length": "n * 1.5", "minLength": 1, "maxLength": 5,
                   "arrayContent": NUMBER},
        "empty": {"type": "array", "length": "gone", "maxLength": 2, "arrayContent": NUMBER},
        "count": {"type": "expr", "expr": "count(items)"},
    })  # fmt: skip
    for entry in made:
        assert len(entry["items"]) == entry["n"] == entry["count"]
        assert len(entry["capped"]) == min(max(round(entry["n"] * 1.5), 1), 5)
        assert bool(entry["empty"]) <= ("gone" in entry)


def test_maps_have_generated_keys() -> None:
    made = documents({
        "stock": {"type": "map", "minLength": 1, "maxLength": 3, "content": NUMBER,
                  "keys": {"type": "enum", "values": ["red", "green", "blue"], "distinct": True}},
        "byId": {"type": "map", "size": 2, "keys": {"type": "sequence", "format": "k{:04d}"},
                 "content": {"type": "object", "objectContent": {
                     "i": {"type": "expr", "expr": "index()"}, "n": NUMBER}}},
        "some": {"type": "map", "size": 3, "content": {**NUMBER, "missing": 50},
                 "keys": {"type": "unique", "pattern": "[a-z]{8}"}},
    })  # fmt: skip
    names = set()
    for entry in made:
        assert 1 <= len(entry["stock"]) <= 3
        assert set(entry["stock"]) <= {"red", "green", "blue"}
        assert [value["i"] for value in entry["byId"].values()] == [0, 1]
        names |= set(entry["byId"])
    assert len(names) == 600
    assert 350 < sum(len(entry["some"]) for entry in made) < 550


def test_polygons_are_closed_and_counterclockwise() -> None:
    made = documents({"x": {"type": "coordinates", "near": [13.4, 52.5], "radiusKm": 5,
                            "polygon": 6, "sizeKm": 2}})  # fmt: skip
    for entry in made:
        (ring,) = entry["x"]["coordinates"]
        assert entry["x"]["type"] == "Polygon"
        assert len(ring) == 7
        assert ring[0] == ring[-1]
        area = sum(one[0] * two[1] - two[0] * one[1] for one, two in pairwise(ring))
        assert area > 0
        assert all(abs(north - 52.5) < 0.07 for _, north in ring)
    assert len({str(entry["x"]) for entry in made}) == len(made)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"type": "oneOf", "by": "a"}, "cases: must be an object"),
        ({"type": "oneOf", "cases": {"x": NUMBER}}, "by: is missing"),
        ({"type": "oneOf", "by": "day", "cases": {"x": NUMBER}}, "by: must be a string"),
        ({"type": "oneOf", "by": "a", "cases": {"x": NUMBER}, "weights": [1]}, "weights: cannot"),
        ({"type": "oneOf", "by": "1 + 1", "cases": {"two": NUMBER}}, "never matches: 1 + 1 is"),
        ({"type": "oneOf", "by": "1 == 1", "cases": {"yes": NUMBER}}, "never matches"),
        ({"type": "oneOf", "variants": [NUMBER], "else": NUMBER}, "else: needs by"),
        ({"type": "array", "length": "a", "arrayContent": NUMBER}, "maxLength: is missing"),
        ({"type": "array", "length": "'x'", "maxLength": 2, "arrayContent": NUMBER},
         "length: must be a number"),
        ({"type": "array", "length": "a", "size": 2, "maxLength": 2, "arrayContent": NUMBER},
         "size: cannot be combined with length"),
        ({"type": "map", "content": NUMBER, "keys": {"type": "string"}}, "keys: may repeat"),
        ({"type": "map", "content": NUMBER, "keys": {"type": "enum", "values": ["", "a", "b"],
          "distinct": True}}, "cannot be a name"),
        ({"type": "map", "content": NUMBER, "keys": {"type": "enum", "values": ["a"],
          "distinct": True}}, "there is only 1 value; "),
        ({"type": "map", "content": NUMBER, "keys": {"type": "regex"}}, "be written as text"),
        ({"type": "coordinates", "polygon": 2}, "between 3 and 100"),
        ({"type": "coordinates", "sizeKm": 2}, "needs polygon"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(field: dict[str, Any], said: str) -> None:
    content = {"a": NUMBER, "day": {"type": "date"}, "x": field}
    with pytest.raises(TemplateError) as caught:
        documents(content, 1)
    assert said in str(caught.value)
