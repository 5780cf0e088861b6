"""Check what ``--json`` prints against the documented schema, in every test that runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

import jsonschema
from jsonschema.protocols import Validator

from producer.view.schema_version import SCHEMA_VERSION

_WITHOUT_VERSION = {"document", "log_line", "secret"}
"""Objects whose form is that of others: MongoDB, loggers and Kubernetes."""
SCHEMA: dict[str, Any] = json.loads((files("producer.view") / "run.schema.json").read_text())


def check_object(name: str, value: Any) -> None:
    """Fail unless ``value`` is the object of the schema that is called so."""
    _validator(name).validate(value)


def check_error(text: str) -> dict[str, Any]:
    """Return the error that a command with ``--json`` ended with, from its standard error."""
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    _validator(*SCHEMA["stderr"]).validate(found)
    assert found["version"] == SCHEMA_VERSION
    return found


def check_output(arguments: Sequence[str], text: str) -> list[Any]:
    """Return the objects that ``dataworks ARGUMENTS --json`` printed, one a line.

    Each must be one of those that the schema lists for the command.
    """
    known = SCHEMA["commands"]
    names = [f"{arguments[0]} {word}" for word in arguments[1:]]
    command = next((name for name in names if name in known), arguments[0])
    validator = _validator(*known[command])
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        validator.validate(line)
        without = any(
            _validator(name).is_valid(line) for name in _WITHOUT_VERSION & {*known[command]}
        )
        assert without or line["version"] == SCHEMA_VERSION, f"{command}: {line}"
    return lines


def check_answer(path: str, status: int, value: Any) -> None:
    """Fail unless ``value`` is what the API answers at ``path`` by the schema."""
    if status != HTTPStatus.OK:
        check_object("api_error", value)
        return
    place = path.partition("?")[0]
    known = {re.sub("RUN", "[^/]+", name.partition("?")[0]): name for name in SCHEMA["answers"]}
    [name] = [name for pattern, name in known.items() if re.fullmatch(pattern, place)]
    check_object(SCHEMA["answers"][name][0], value)


@cache
def _validator(*names: str) -> Validator:
    objects = [{"$ref": f"#/$defs/{name}"} for name in names]
    return jsonschema.Draft202012Validator({"anyOf": objects, "$defs": SCHEMA["$defs"]})
