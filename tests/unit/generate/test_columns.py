"""What the columns make, checked on decoded documents."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import mean, median, stdev
from typing import Any

import bson
import pytest

from dataworks_tasks.errors import TemplateError, UsageError
from dataworks_tasks.generate.batch.document_id import object_id, object_id_prefix
from dataworks_tasks.generate.columns.faker import pool_of
from dataworks_tasks.generate.columns.vin import WEIGHTS, transliteration
from dataworks_tasks.generate.templates.load_template import (
    document_source,
    load_template,
    parse_template,
)
from tests.unit.generate.examples import documents


def column(count: int = 300, **field: Any) -> list[Any]:
    """Return the values of one field."""
    return [document.get("x", "missing") for document in documents({"x": field}, count)]


VIN_YEARS = "6789ABCDEFGHJKLMN"
"""The tenth sign of a VIN, from model year 2006 to 2022."""


def valid_vin(vin: str) -> bool:
    values = transliteration()
    total = sum(values[sign] * weight for sign, weight in zip(vin, WEIGHTS, strict=True))
    return len(vin) == 17 and vin[8] == "0123456789X"[total % 11]


def test_the_known_vin_is_valid() -> None:
    assert valid_vin("1M8GDM9AXKP042788")
    assert not valid_vin("1M8GDM9A1KP042788")


def test_ids_are_contiguous_and_ascend() -> None:
    template = parse_template({"content": {"a": {"type": "int"}}}, "t")
    name = template.collections[0].name
    batch = document_source(template, 0, 5).generate(250, 260)
    ids = [document["_id"].binary for document in bson.decode_all(batch.data)]
    prefix = object_id_prefix(5, name)
    assert ids == [object_id(prefix, index) for index in range(250, 260)]
    assert ids == sorted(ids)


@pytest.mark.parametrize(("missing", "null"), [(40, 10), (25, 0), (0, 33), (12.5, 7.5)])
def test_shares_are_exact_in_every_block(missing: float, null: float) -> None:
    values = column(1000, type="int", missing=missing, null=null)
    block = 1000 if missing == 12.5 else 100
    for start in range(0, 1000, block):
        counts = Counter(values[start : start + block])
        assert counts["missing"] == block * missing / 100
        assert counts[None] == block * null / 100


def test_numbers_stay_in_their_bounds() -> None:
    assert set(column(500, type="int", min=-2, max=2)) == {-2, -1, 0, 1, 2}
    assert set(column(300, type="int", min=0, max=30, step=10)) == {0, 10, 20, 30}
    wide = column(300, type="long", min=-(2**63), max=2**63 - 1)
    assert min(wide) < -(2**61)
    assert max(wide) > 2**61
    assert all(isinstance(value, bson.Int64) for value in wide)
    doubles = column(300, type="double", min=5, max=6, decimals=2)
    assert all(5 <= value <= 6 and value == round(value, 2) for value in doubles)
    huge = column(1000, type="double")
    assert max(huge) > 0.9e300


def test_distributions_have_their_shape() -> None:
    normal = column(5000, type="double", min=-1e6, max=1e6,
                    distribution={"type": "normal", "mean": 10, "stdDev": 2})  # fmt: skip
    assert mean(normal) == pytest.approx(10, abs=0.1)
    assert stdev(normal) == pytest.approx(2, rel=0.05)
    lognormal = column(5000, type="double", max=1e6,
                       distribution={"type": "lognormal", "median": 50, "sigma": 0.5})  # fmt: skip
    assert median(lognormal) == pytest.approx(50, rel=0.05)
    waits = column(5000, type="double", max=1e6, distribution={"type": "exponential", "mean": 3})
    assert mean(waits) == pytest.approx(3, rel=0.05)
    poisson = column(5000, type="int", max=100, distribution={"type": "poisson", "mean": 4})
    assert mean(poisson) == pytest.approx(4, rel=0.05)
    assert stdev(poisson) == pytest.approx(2, rel=0.05)
    ranks = Counter(column(5000, type="int", min=1, max=10**6, distribution="zipf"))
    assert ranks[1] > ranks[2] > ranks[4] > ranks[16]
    assert max(ranks) > 65_536


def test_weights() -> None:
    counts = Counter(column(4000, type="enum", values=["a", "b", "c"], weights=[70, 30, 0]))
    assert counts["a"] == pytest.approx(2800, rel=0.05)
    assert "c" not in counts


@pytest.mark.parametrize(
    "field",
    [
        {"type": "int", "min": 1, "max": 5000, "unique": True},
        {"type": "unique", "min": 0, "max": 4999},
        {"type": "unique", "pattern": "[A-F][0-9]{3}"},
        {"type": "unique", "format": "C{:04d}"},
        {"type": "vin", "unique": True},
        {"type": "string", "minLength": 3, "maxLength": 3, "unique": True},
        {"type": "uuid"},
        {"type": "objectId"},
        {"type": "sequence", "format": "n{}"},
    ],
)
def test_unique_values_do_not_repeat(field: dict[str, Any]) -> None:
    assert len(set(column(5000, **field))) == 5000


def test_unique_numbers_look_random() -> None:
    values = column(500, type="unique", min=0, max=999)
    rising = sum(one < two for one, two in pairwise(values))
    assert 150 < rising < 350


def test_more_documents_than_values_are_refused() -> None:
    content = {"x": {"type": "unique", "pattern": "[a-z]{2}"}}
    template = parse_template({"collection": "c", "content": content}, "t")
    template.check_total(0, 676)
    with pytest.raises(UsageError, match=r"c\.x of c has 676 .* 677"):
        template.check_total(0, 677)
    inside = {"a": {"type": "array", "maxLength": 4, "arrayContent": content["x"]}}
    with pytest.raises(UsageError, match="169"):
        parse_template({"content": inside}, "t").check_total(0, 170)


def test_text() -> None:
    assert {len(text) for text in column(type="string", minLength=3, maxLength=5)} == {3, 4, 5}
    pattern = r"(\+49|0)-[A-F]{2,4}x?\d{3}(ab|c)*"
    for text in column(500, type="pattern", pattern=pattern):
        assert re.fullmatch(pattern, text)
    assert all(valid_vin(vin) for vin in column(1000, type="vin"))
    assert column(3, type="sequence", format="S-{:03d}", start=999) == ["S-999", "S-1000", "S-1001"]
    assert column(2, type="sequence", format="%05d!", step=-1) == ["00000!", "-0001!"]


def test_decimals_and_other_bson_types() -> None:
    for value in column(type="decimal", min=-3, max=3, scale=4):
        assert -3 <= value.to_decimal() <= 3
        assert value.to_decimal().as_tuple().exponent == -4
    assert column(1, type="double", min=2.5, max=2.5, bsonType="decimal")[
        0
    ].to_decimal() == Decimal("2.50")
    assert column(1, type="int", min=7, max=7, bsonType="string") == ["7"]
    assert isinstance(column(1, type="timestamp")[0], bson.Timestamp)
    assert column(1, type="regex", value="^a", options="i")[0] == bson.Regex("^a", "i")
    uuids = column(1, type="uuid", format="binary")
    assert uuids[0].as_uuid().version == 4


def test_dates_follow_each_other() -> None:
    made = documents({
        "a": {"type": "date", "startDate": "2024-01-01", "endDate": "2024-02-01"},
        "b": {"type": "date", "after": "a", "delay": {"min": "1h", "max": "2d"}, "missing": 50},
        "c": {"type": "date", "after": "b", "delay": {"max": "1m"}},
        "t": {"type": "date", "series": {"start": "2025-01-01", "step": 5, "together": 2}},
    })  # fmt: skip
    for index, document in enumerate(made):
        assert datetime(2024, 1, 1) <= document["a"] < datetime(2024, 2, 1)
        if "b" in document:
            assert timedelta(hours=1) <= document["b"] - document["a"] <= timedelta(days=2)
            assert timedelta(0) <= document["c"] - document["b"] <= timedelta(minutes=1)
        else:
            assert document["c"] is None
        assert document["t"] == datetime(2025, 1, 1) + timedelta(seconds=5 * (index // 2))


def test_coordinates() -> None:
    for longitude, latitude in column(type="coordinates", near=[13.4, 52.5], radiusKm=10):
        east, north = (longitude - 13.4) * 67.7, (latitude - 52.5) * 111.2
        assert east**2 + north**2 < 10.1**2
    for longitude, latitude in column(type="coordinates", bbox=[5, 47, 15, 55]):
        assert 5 <= longitude <= 15
        assert 47 <= latitude <= 55


def test_arrays_leave_missing_elements_out() -> None:
    content = {"type": "int", "max": 9, "missing": 30}
    lengths = Counter(len(value) for value in column(type="array", size=10, arrayContent=content))
    assert min(lengths) < 7 < max(lengths)
    assert mean(lengths.elements()) == pytest.approx(7, abs=0.01)
    weighted = column(1000, type="array", minLength=1, maxLength=2, lengthWeights=[90, 10],
                      arrayContent={"type": "constant", "constVal": 1})  # fmt: skip
    assert Counter(map(len, weighted))[2] == pytest.approx(100, rel=0.3)


def test_groups_pick_the_same_place() -> None:
    made = documents({
        "city": {"type": "enum", "values": ["A", "B", "C"], "group": "g"},
        "number": {"type": "enum", "values": [1, 2, 3], "group": "g"},
    })  # fmt: skip
    pairs = {(document["city"], document["number"]) for document in made}
    assert pairs == {("A", 1), ("B", 2), ("C", 3)}


def test_max_distinct_value() -> None:
    assert len(set(column(500, type="string", minLength=9, maxLength=9, maxDistinctValue=7))) == 7


def test_faker_is_the_same_for_any_batching_without_a_pool() -> None:
    field = {"type": "faker", "method": "name", "pool": 0}
    assert column(20, **field) == column(40, **field)[:20]


@pytest.mark.parametrize("method", ["name", "random_int", "random_element"])
def test_few_rows_take_the_same_words_as_many(method: str) -> None:
    template = parse_template(
        {"content": {"f": {"type": "faker", "method": method, "pool": 250}}}, "faker"
    )
    whole = document_source(template, 0, 11).generate(0, 300)
    pool_of.cache_clear()
    source = document_source(template, 0, 11)
    pieces = [source.generate(start, start + 3) for start in range(0, 300, 3)]
    assert b"".join(piece.data for piece in pieces) == whole.data


def test_a_vin_has_the_model_year_of_its_field() -> None:
    made = documents({
        "vin": {"type": "vin", "year": "model"},
        "model": {"type": "int", "min": 2006, "max": 2022},
    })  # fmt: skip
    assert all(entry["vin"][9] == VIN_YEARS[entry["model"] - 2006] for entry in made)
    assert all(valid_vin(entry["vin"]) for entry in made)
    for field in ("gone", "text"):
        content = {"vin": {"type": "vin", "year": field}, "text": {"type": "string"}}
        with pytest.raises(TemplateError, match=r"vin\.year"):
            parse_template({"content": content}, "t")


def test_built_in_service_orders_add_up() -> None:
    source = document_source(load_template("service_order"), 0, 7)
    for order in bson.decode_all(source.generate(0, 400).data):
        customer, first = order["customer"], order["customer"]["firstName"].lower()
        assert customer["email"].startswith(first[:1])
        assert customer["lastName"].lower().split()[0].strip("'")[:2] in customer["email"]
        assert valid_vin(order["vehicle"]["vin"])
        assert order["vehicle"]["vin"][9] == VIN_YEARS[order["vehicle"]["year"] - 2006]
        assert len({item["partNumber"] for item in order["items"]}) == len(order["items"])
        assert 1 <= len(order["items"]) <= 5
        for item in order["items"]:
            assert item["total"] == pytest.approx(item["quantity"] * item["unitPrice"], abs=0.005)
        parts = sum(item["total"] for item in order["items"])
        assert order["partsTotal"] == pytest.approx(parts, abs=0.005)
        whole = order["partsTotal"] + order["laborTotal"] + order["tax"]
        assert order["total"] == pytest.approx(whole, abs=0.005)
        assert ("completedAt" in order) == (order["status"] == "completed") == order["paid"]
        if order["paid"]:
            assert order["completedAt"] > order["createdAt"]


def test_built_in_shop_refers_to_what_exists() -> None:
    template = load_template("shop")
    made = [
        bson.decode_all(document_source(template, position, 7).generate(0, count).data)
        for position, count in enumerate((10_000, 1_000, 500))
    ]
    customers = {entry["_id"]: entry for entry in made[0]}
    products = {entry["_id"]: entry for entry in made[1]}
    assert len({entry["email"] for entry in made[0]}) == 10_000
    for order in made[2]:
        customer = customers[order["customerId"]]
        assert order["customerEmail"] == customer["email"]
        assert order["customerCity"] == customer["address"]["city"]
        for item in order["items"]:
            product = products[item["productId"]]
            assert (item["sku"], item["price"]) == (product["sku"], product["price"])
