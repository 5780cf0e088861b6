"""Figures of fields, and the preview of a collection."""

from __future__ import annotations

import json
from typing import Any

import bson
import pytest
from click.testing import CliRunner

from dataworks_tasks.generate.templates.load_template import document_source, parse_template
from dataworks_tasks.runs.namespace import Namespace
from producer.cli.templates import command
from producer.estimate.field_figures import FieldFigures, field_figures
from producer.estimate.template_preview import preview_collection

TEMPLATE = {
    "collection": "c", "count": 1000, "indexes": [{"name": "by_n", "key": {"n": 1, "tags": 1}}],
    "content": {
        "n": {"type": "int", "min": 1, "max": 48},
        "gone": {"type": "int", "missing": 40, "null": 10},
        "kind": {"type": "enum", "values": ["a", "b"], "weights": [75, 25]},
        "tags": {"type": "array", "size": 2, "arrayContent": {"type": "boolean"}},
        "at": {"type": "date", "startDate": "2024-01-01", "endDate": "2025-01-01"},
        "in": {"type": "object", "objectContent": {"text": {"type": "string", "size": 8,
                                                            "maxLength": 8}}},
    },
}  # fmt: skip


def figures() -> dict[str, FieldFigures]:
    batch = document_source(parse_template(TEMPLATE, "t"), 0, 1).generate(0, 2000)
    return {entry.path: entry for entry in field_figures([*batch.documents()])}


def test_shares_values_and_sizes() -> None:
    found = figures()
    assert set(found) == {"_id", "n", "gone", "kind", "tags[].length", "tags[]", "at", "in.text"}
    gone = found["gone"]
    assert (gone.documents, gone.nulls) == (1200, 200)
    assert found["kind"].described().startswith("a 7")
    assert found["kind"].distinct == 2
    assert found["n"].distinct == 48
    assert found["n"].described() == "1 to 48"
    assert found["at"].described() == "2024-01-01 to 2024-12-31"
    assert found["tags[].length"].described() == "2 100%"
    assert found["tags[]"].seen == 4000
    assert found["in.text"].mean_bytes == 4 + 8 + 1
    assert found["_id"].mean_bytes == 12


def test_histograms_show_the_distribution() -> None:
    even = figures()["n"].histogram()
    assert len(even) == 24
    assert set(even) <= set("▅▆▇█")
    skewed = FieldFigures("x")
    for number in [1] * 900 + [*range(2, 102)]:
        skewed.add(number, 4)
    bars = skewed.histogram()
    assert bars[0] == "█"
    assert set(bars[1:]) == {"▁"}
    assert FieldFigures("y").histogram() == ""


def test_a_collection_has_sizes_and_a_rate() -> None:
    source = document_source(parse_template(TEMPLATE, "t"), 0, 1)
    indexes: Any = TEMPLATE["indexes"]
    preview = preview_collection(source, Namespace("d", "c"), indexes, 500)
    mean = len(source.generate(0, 500).data) / 500
    assert preview.sampled == 500
    assert preview.mean_bytes == pytest.approx(mean)
    assert preview.documents_per_second > 100
    assert preview.index_bytes == {"_id_": 9 + 12, "by_n": 9 + 4 + 1}


def test_the_command_shows_documents_and_fields() -> None:
    text = json.dumps(TEMPLATE)
    shown = CliRunner().invoke(command, ["preview", "-", "-n", "2"], input=text)
    assert shown.exit_code == 0, shown.exception
    assert shown.output.count('"_id"') == 2
    for line in ("10,000 documents:", "in.text", "48 different: 1 to 48", "Index by_n: about 14",
                 "1,000 have", "documents/s"):  # fmt: skip
        assert line in shown.output
    as_json = CliRunner().invoke(
        command, ["preview", "-", "-n", "2", "--json", "--sample", "50"], input=text
    )
    *documents, last = [json.loads(line) for line in as_json.output.splitlines()]
    assert len(documents) == 2
    assert (last["collection"], last["sampled"]) == ("c", 50)
    assert {entry["path"] for entry in last["fields"]} == set(figures())
    plain = CliRunner().invoke(command, ["preview", "-", "--json"], input=text)
    assert len(plain.output.splitlines()) == 3


def _previewed(template: dict[str, object]) -> str:
    shown = CliRunner().invoke(command, ["preview", "-", "-n", "1"], input=json.dumps(template))
    assert shown.exit_code == 0, shown.exception
    return shown.output


def test_a_sample_has_no_more_documents_than_a_field_has_values() -> None:
    shown = _previewed({"content": {"n": {"type": "autoincrement", "start": 2**31 - 40}}})
    assert "\n40 documents:" in shown
    assert "40 different" in shown


def test_a_document_that_fails_is_counted_in_the_summary() -> None:
    largest = "if(number == 2000, 9223372036854775807, 0) + number"
    shown = _previewed({"content": {
        "number": {"type": "autoincrement"}, "sum": {"type": "expr", "expr": largest},
    }})  # fmt: skip
    assert "9,999 documents:" in shown
    assert "1 more document failed. #2000: " in shown
    assert "does not fit a long" in shown


def test_dates_beyond_the_year_9999_are_counted() -> None:
    shown = _previewed({"content": {
        "last": {"type": "date", "startDate": "9999-12-31", "endDate": "9999-12-31T23:59:59Z"},
        "after": {"type": "expr", "expr": "last + 400d"},
        "once": {"type": "date", "startDate": "0800-01-01", "endDate": "0800-01-01"},
        "never": {"type": "expr", "expr": "once + 10000 * 365d"},
    }})  # fmt: skip
    assert "10001-02-03 to 10001-02-03" in shown
    assert "0800-01-01" in shown
    assert "1 different: 10793-05-" in shown


def test_values_of_any_type_are_counted() -> None:
    document = bson.encode({
        "a": bson.Regex("x"), "b": bson.Decimal128("1.5"), "c": b"x", "d": bson.MinKey(),
        "e": float("inf"), "f": [], "g": [[1], [2.5]], "h": None,
    })  # fmt: skip
    found = {entry.path: entry for entry in field_figures([document, document])}
    assert found["g[][]"].types == {"int": 2, "double": 2}
    assert found["h"].nulls == 2
    assert all(
        entry.described() is not None and entry.histogram() == "" for entry in found.values()
    )
