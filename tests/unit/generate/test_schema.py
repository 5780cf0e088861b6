"""The published JSON Schema and the parser accept the same templates."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dataworks_tasks.errors import TemplateError
from dataworks_tasks.generate.fields.model import Record
from dataworks_tasks.generate.fields.reader import Reader
from dataworks_tasks.generate.fields.registry import ColumnType, column_types
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.templates.load_template import builtin_templates, parse_template
from tests.unit.generate.examples import examples

GENERATE = files("dataworks_tasks.generate.templates")
SCHEMA = json.loads(GENERATE.joinpath("schema/template.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
TYPES = {kind.name: kind for kind in column_types().values()}


def whole(example: Any) -> Any:
    if isinstance(example, list) or {"content", "schema"} & set(example):
        return example
    return {"content": example}


def asked(kind: ColumnType) -> set[str]:
    """Every key the parser of a type looks for."""
    node = TemplateNode({"type": kind.name}, "x", Reader(column_types()), Record())
    node.take("type")
    kind.read(node)
    return set(node.asked)


@pytest.mark.parametrize("name", TYPES)
def test_each_type_has_the_keys_of_its_parser(name: str) -> None:
    definition = SCHEMA["$defs"][f"column_{name}"]
    assert set(definition["properties"]) == asked(TYPES[name])
    spelled = {alias.lower() for alias in definition["properties"]["type"]["enum"]}
    assert spelled == {alias for alias, kind in column_types().items() if kind.name == name}


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert {name for name in SCHEMA["$defs"] if name.startswith("column_")} == {
        f"column_{name}" for name in TYPES
    }


@pytest.mark.parametrize(("title", "example"), list(examples()))
def test_examples_are_valid(title: str, example: Any) -> None:
    VALIDATOR.validate(whole(example))


@pytest.mark.parametrize("name", sorted(builtin_templates()))
def test_built_in_templates_are_valid(name: str) -> None:
    VALIDATOR.validate(json.loads(GENERATE.joinpath(f"builtin/{name}.json").read_text()))


@pytest.mark.parametrize(
    "field",
    [
        {"type": "int", "minn": 1},
        {"type": "unknown"},
        {"type": "array", "arrayContent": {"type": "int", "lenght": 1}},
        {"type": "int", "distribution": "gauss"},
        {"type": "date", "delay": {"least": 1}},
        {"max": 3},
    ],
)
def test_both_refuse_the_same(field: dict[str, Any]) -> None:
    document = {"content": {"a": field}}
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(TemplateError):
        parse_template(document, "t")
