"""Bring the published JSON Schema up to date: python -m tests.unit.generate.schema_file.

The keys and the description of each type are those of its parser. What a new key takes is written
into the file by hand; keys and words are then accepted in whatever letters, as the reader does.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from dataworks_tasks.generate.fields.model import Record
from dataworks_tasks.generate.fields.reader import Reader
from dataworks_tasks.generate.fields.registry import ColumnType, column_types
from dataworks_tasks.generate.fields.template_node import TemplateNode

PATH = Path(str(files("dataworks_tasks.generate.templates") / "schema" / "template.schema.json"))
TYPES = {kind.name: kind for kind in column_types().values()}


def read() -> dict[str, Any]:
    """Read the schema file."""
    schema: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return schema


def asked(kind: ColumnType) -> set[str]:
    """Every key the parser of a type looks for."""
    node = TemplateNode({"type": kind.name}, "x", Reader(column_types()), Record())
    node.take("type")
    kind.read(node)
    return set(node.asked)


def spellings(kind: ColumnType) -> list[str]:
    """Return the names of a type."""
    others = {alias for alias, known in column_types().items() if known.name == kind.name}
    return [kind.name, *sorted(others - {kind.name.lower()})]


def updated(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with the keys and descriptions of the parsers, in whatever letters."""
    definitions = schema["$defs"]
    common = {
        key: value
        for key, value in definitions["field_int"]["properties"].items()
        if key not in definitions["column_int"]["properties"]
    }
    for name, kind in TYPES.items():
        column = definitions[f"column_{name}"]
        known, wanted = column["properties"], asked(kind)
        known["type"] = {"enum": spellings(kind)}
        column["properties"] = {key: value for key, value in known.items() if key in wanted}
        column["description"] = " ".join((kind.read.__doc__ or "").split())
        definitions[f"field_{name}"] = {
            **column,
            "properties": {**column["properties"], **common},
        }
    for part in ("field", "column"):
        references = [{"$ref": f"#/$defs/{part}_{name}"} for name in sorted(TYPES)]
        definitions[part]["anyOf"] = references
    made: dict[str, Any] = _in_any_letters(schema)
    return made


def _in_any_letters(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_in_any_letters(entry) for entry in schema]
    if not isinstance(schema, dict) or _is_words(schema):
        return schema
    made = {
        key: _in_any_letters(value) for key, value in schema.items() if key != "patternProperties"
    }
    if made.get("additionalProperties") is False and "properties" in made:
        made["patternProperties"] = {
            f"^{_any_letters(key)}$": value for key, value in made["properties"].items()
        }
    if "required" in made:
        # Not every name is another one than a required one.
        made["allOf"] = [
            {"not": {"propertyNames": {"not": {"pattern": f"^{_any_letters(key)}$"}}}}
            for key in made.pop("required")
        ]
    if "enum" in made and all(isinstance(word, str) for word in made["enum"]):
        words = "|".join(map(_any_letters, made.pop("enum")))
        made["anyOf"] = [{"enum": schema["enum"]}, {"pattern": f"^({words})$", "type": "string"}]
    return made


def _is_words(schema: dict[str, Any]) -> bool:
    """Whether words were made to be in any letters before."""
    choices = schema.get("anyOf", [])
    return len(choices) == 2 and "enum" in choices[0] and "pattern" in choices[1]


def _any_letters(word: str) -> str:
    return "".join(
        f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else letter.replace("$", "\\$")
        for letter in word
    )


if __name__ == "__main__":
    PATH.write_text(json.dumps(updated(read()), indent=1) + "\n", encoding="utf-8")
