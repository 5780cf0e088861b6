"""Every example of docs/templates.md: it makes valid documents, the same however it is cut."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import bson
import faker
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.generate.fields.registry import column_types
from dataworks_tasks.generate.templates.load_template import (
    builtin_templates,
    document_source,
    load_template,
)
from tests.unit.generate.examples import digest, examples, template_of

EXAMPLES = dict(examples())
GOLDEN = Path(__file__).with_name("golden.json")
CONSTRAINTS = Path(__file__).parents[3] / "constraints.txt"


def _types(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {str(value["type"]).lower()} if isinstance(value.get("type"), str) else set()
        return own.union(*(_types(entry) for entry in value.values()))
    return set().union(*(_types(entry) for entry in value)) if isinstance(value, list) else set()


def test_every_type_has_an_example() -> None:
    used = _types(list(EXAMPLES.values()))
    assert {kind.name.lower() for kind in column_types().values()} <= used


@pytest.mark.parametrize("title", EXAMPLES)
def test_documents_decode_and_split_anywhere(title: str) -> None:
    template = template_of(EXAMPLES[title])
    for position in range(len(template.collections)):
        source = document_source(template, position, 7)
        whole = source.generate(0, 60)
        parsed = EncodedBatch.parse(whole.data)
        assert parsed.offsets.tolist() == whole.offsets.tolist()
        decoded = bson.decode_all(whole.data)
        assert all(next(iter(document)) == "_id" for document in decoded)
        again = [bson.encode(document) for document in decoded]
        assert [len(entry) for entry in again] == [len(entry) for entry in whole.documents()]
        pieces = [source.generate(start, stop) for start, stop in ((0, 1), (1, 47), (47, 60))]
        assert b"".join(piece.data for piece in pieces) == whole.data
        apart = [0, 7, 23, 24, 59]
        few = document_source(template, position, 7).documents_at(apart)
        assert few == [source.generate(index, index + 1).data for index in apart]


@given(cuts=st.lists(st.integers(0, 9000), max_size=4), seed=st.integers(0, 2**63))
@settings(max_examples=12, deadline=None)
def test_any_batching_makes_the_same_bytes(cuts: list[int], seed: int) -> None:
    template = load_template("sensors")
    bounds = [0, *sorted(cuts), 9000]
    whole = document_source(template, 0, seed).generate(0, 9000)
    source = document_source(template, 0, seed)
    pieces = [source.generate(*bound) for bound in pairwise(bounds)]
    assert b"".join(piece.data for piece in pieces) == whole.data


def _is_of_fields(example: Any) -> bool:
    return isinstance(example, dict) and not {"content", "schema", "_id"} & set(example)


@pytest.mark.parametrize("title", [title for title in EXAMPLES if _is_of_fields(EXAMPLES[title])])
def test_a_field_may_be_in_no_document_of_a_batch(title: str) -> None:
    example = EXAMPLES[title]
    for name, field in example.items():
        inner = {key: value for key, value in field.items() if key not in {"missing", "null"}}
        around = {"type": "object", "missing": 100, "objectContent": {"inner": inner}}
        source = document_source(template_of({**example, "around": around}), 0, 7)
        for document in bson.decode_all(source.generate(0, 3).data):
            assert "around" not in document, name


def test_a_reference_may_be_in_no_document_of_a_batch() -> None:
    template = template_of([
        {"collection": "tree", "count": 1, "content": {
            "parent": {"type": "reference", "to": "tree", "earlier": True}}},
        {"collection": "leaves", "count": 9, "content": {
            "of": {"type": "reference", "to": "tree", "missing": 100}}},
    ])  # fmt: skip
    for position, count in enumerate((1, 9)):
        made = bson.decode_all(document_source(template, position, 7).generate(0, count).data)
        assert [set(document) for document in made] == [{"_id"}] * count


def test_seeds_make_different_documents() -> None:
    template = load_template("sensors")
    digests = {digest(template, 10, seed) for seed in range(20)}
    assert len(digests) == 20


def test_golden_hashes() -> None:
    """Output does not change by accident.

    To change it deliberately: delete golden.json, run this test (it fails once and writes the
    file), and add a line to the changelog.
    """
    made = {title: digest(template_of(example)) for title, example in EXAMPLES.items()}
    made |= {f"builtin {name}": digest(load_template(name)) for name in builtin_templates()}
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
        pytest.fail("golden.json was missing and has been written again")
    kept = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if f"faker=={faker.VERSION}" not in CONSTRAINTS.read_text().splitlines():
        del made["faker"], kept["faker"]  # its words come with its releases
    assert made == kept
