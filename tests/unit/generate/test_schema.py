"""The published JSON Schema and the parser accept the same templates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from dataworks_tasks.errors import TemplateError
from dataworks_tasks.generate.templates.load_template import builtin_templates, parse_template
from tests.unit.generate.examples import examples
from tests.unit.generate.schema_file import TYPES, asked, read, updated

GENERATE = files("dataworks_tasks.generate.templates")
SCHEMA = json.loads(GENERATE.joinpath("schema/template.schema.json").read_text(encoding="utf-8"))


def first_that_is_valid(
    validator: Any, schemas: list[Any], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    """Do what ``anyOf`` says without the errors of each alternative: there are many here."""
    if not any(validator.evolve(schema=schema).is_valid(instance) for schema in schemas):
        yield ValidationError(f"{instance!r} is valid under none of the alternatives")


_Validator = extend(Draft202012Validator, {"anyOf": first_that_is_valid})  # type: ignore[no-untyped-call]
VALIDATOR = _Validator(SCHEMA)


def whole(example: Any) -> Any:
    if isinstance(example, list) or {"content", "schema"} & set(example):
        return example
    return {"content": example}


def test_the_schema_is_that_of_the_parsers() -> None:
    assert updated(read()) == SCHEMA, "run: python -m tests.unit.generate.schema_file"


@pytest.mark.parametrize("name", TYPES)
def test_each_type_has_the_keys_of_its_parser(name: str) -> None:
    assert set(SCHEMA["$defs"][f"column_{name}"]["properties"]) == asked(TYPES[name])


@pytest.mark.parametrize(
    "document",
    [
        {"CONTENT": {"a": {"TYPE": "Int", "MINInt": "3", "Max": 5, "Unique": "true"}}},
        {"content": {}, "COUNT": "7"},
        {"content": {"a": {"type": "DATE", "AFTER": "b", "Delay": {"MAX": "3d"}},
                     "b": {"type": "date"}}},
        {"content": {"a": {"type": "double", "distribution": {"TYPE": "Normal", "Mean": "0.5"}}}},
        {"content": {"a": {"type": "string", "HIDDEN": True}}, "CompressionLevel": "ZSTD"},
        {"content": {"a": {"type": "int", "bsonType": "LONG"}}},
        [{"Database": "d", "Collection": "c", "content": {}}],
    ],
)  # fmt: skip
def test_both_take_any_letters(document: Any) -> None:
    parse_template(document, "t")
    VALIDATOR.validate(document)


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
