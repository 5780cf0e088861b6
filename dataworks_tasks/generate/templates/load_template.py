"""Templates by name, from a file, or from the JSON value in a run's spec."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.templates.json_text import parse_json
from dataworks_tasks.generate.templates.template import Template
from dataworks_tasks.generate.templates.template_reader import read_template
from dataworks_tasks.generate.templates.template_source import TemplateSource

STDIN = "-"
_HERE = files("dataworks_tasks.generate.templates")
_BUILTIN = _HERE / "builtin"


def is_template_file(name: str) -> bool:
    """Return whether ``name`` means a template file, by its form or because it exists on disk."""
    return name == STDIN or Path(name).suffix.lower() == ".json" or Path(name).is_file()


def load_template(name_or_path: str) -> Template:
    """Load the built-in template of this name, or a file; ``-`` reads standard input.

    Raises UnknownName if neither exists, and TemplateError with everything that is wrong.
    """
    names = builtin_names()
    if name_or_path == STDIN:
        return parse_template(parse_json(sys.stdin.read(), "stdin"), "stdin")
    if name_or_path in names:
        text = builtin_text(name_or_path)
        return parse_template(parse_json(text, name_or_path), name_or_path)
    path = Path(name_or_path)
    if not is_template_file(name_or_path):
        raise UnknownName.among("template", name_or_path, names)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UnknownName(f"cannot read the template {name_or_path}: {reason}") from error
    return parse_template(parse_json(text, name_or_path), name_or_path)


def builtin_text(name: str) -> str:
    """Return the JSON text of the built-in template ``name``. Raises UnknownName."""
    names = builtin_names()
    if name not in names:
        raise UnknownName.among("template", name, names)
    return _BUILTIN.joinpath(f"{name}.json").read_text(encoding="utf-8")


def parse_template(document: object, source: str) -> Template:
    """Build a template from its JSON value.

    ``source`` names it in errors, and is its name if it has none. Raises TemplateError with
    everything that is wrong.
    """
    return read_template(document, source)


def scaled(template: Template, factor: float) -> Template:
    """Multiply every count of a template by ``factor``; references use the new counts.

    Raises UsageError if a collection has no count.
    """
    document = copy.deepcopy(dict(template.document))
    entries = document.get("collections", [document])
    for entry, collection in zip(entries, template.collections, strict=True):
        if collection.count is None:
            raise UsageError(
                f"{collection.collection} has no count that could be scaled",
                "Give it one in the template, or use --total N",
            )
        for key in [key for key in entry if key.lower() == "count"]:
            entry[key] = max(1, round(collection.count * factor))
    return parse_template(document, template.name)


def document_source(template: Template, position: int, seed: int) -> DocumentSource:
    """Return the documents of collection ``position`` of ``template`` under ``seed``."""
    collection = template.collections[position]
    return TemplateSource(collection.content, seed)


def builtin_names() -> list[str]:
    """Return the names of the built-in templates."""
    names = (entry.name for entry in _BUILTIN.iterdir())
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def builtin_templates() -> Mapping[str, str]:
    """Return the names of the built-in templates, each with a one-line description."""
    described = {}
    for name in builtin_names():
        value = parse_json(builtin_text(name), name)
        description = value.get("description", "") if isinstance(value, dict) else ""
        described[name] = str(description)
    return described


def starter_text() -> str:
    """Return a small template with comments, as a starting point."""
    return (_HERE / "starter.json").read_text(encoding="utf-8")
