"""A template: the collections a generation run fills, and the documents in them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.generate.batch.document_id import MAX_DOCUMENTS
from dataworks_tasks.generate.batch.document_source import DocumentSource
from dataworks_tasks.generate.fields.record import Record
from dataworks_tasks.generate.templates.json_text import parse_json
from dataworks_tasks.generate.templates.template_source import TemplateSource, capacities

_BUILTIN = files("dataworks_tasks.generate.templates") / "builtin"


@dataclass(frozen=True, eq=False)
class CollectionTemplate:
    """One collection: where it goes, how many documents, what is in them.

    ``name`` is its identity, from which ids and values are made: the database (where given) and
    collection of the template, whatever a run calls them. ``indexes`` are ready for the
    ``createIndexes`` command, ``aggregators`` for whoever runs them after the insert.
    """

    name: str
    database: str
    collection: str
    count: int | None
    indexes: tuple[Mapping[str, Any], ...]
    compression_level: str
    shard_config: Mapping[str, Any] | None
    aggregators: tuple[Mapping[str, Any], ...]
    content: Record


@dataclass(frozen=True, eq=False)
class Template:
    """What ``document``, the JSON value embedded in a run's spec, says.

    ``notes`` are lines about what it says and what is left out.
    """

    name: str
    description: str
    collections: tuple[CollectionTemplate, ...]
    document: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def with_total(self, position: int, total: int) -> Template:
        """The same template with another count for one collection, in its document too."""
        document = copy.deepcopy(dict(self.document))
        entries = document.get("collections")
        (entries[position] if isinstance(entries, list) else document)["count"] = total
        return parse_template(document, self.name)

    def check_total(self, position: int, total: int) -> None:
        """Refuse more documents than a unique field of collection ``position`` has values.

        Raises UsageError with the field and both numbers.
        """
        collection = self.collections[position]
        for path, most in capacities(collection.content):
            if total > most:
                raise UsageError(
                    f"{path} of {collection.name} has {most:,} different values, "
                    f"and the run asks for {total:,} documents",
                    "Give the field a wider range, or ask for fewer documents",
                )
        if total > MAX_DOCUMENTS:
            raise UsageError(
                f"{total:,} documents are more than the {MAX_DOCUMENTS:,} ids there are"
            )


def load_template(name_or_path: str) -> Template:
    """The built-in template of this name, or the one in this ``.json`` file.

    Raises UnknownName when there is neither, TemplateError with everything that is wrong.
    """
    names = builtin_templates()
    if name_or_path in names:
        text = _BUILTIN.joinpath(f"{name_or_path}.json").read_text(encoding="utf-8")
        return parse_template(parse_json(text, name_or_path), name_or_path)
    path = Path(name_or_path)
    if path.suffix.lower() != ".json" and not path.is_file():
        raise UnknownName.among("template", name_or_path, names)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UnknownName(f"cannot read the template {name_or_path}: {reason}") from error
    return parse_template(parse_json(text, name_or_path), name_or_path)


def parse_template(document: object, source: str) -> Template:
    """A template from its JSON value; ``source`` names it in errors, and where it has no name.

    Raises TemplateError with everything that is wrong.
    """
    from dataworks_tasks.generate.templates.template_reader import read_template

    return read_template(document, source)


def document_source(template: Template, position: int, seed: int) -> DocumentSource:
    """The documents of collection ``position`` of ``template`` under ``seed``."""
    collection = template.collections[position]
    return TemplateSource(collection.content, seed)


def builtin_templates() -> Mapping[str, str]:
    """The names of the built-in templates, each with one line about it."""
    described = {}
    for entry in sorted(_BUILTIN.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".json"):
            value = parse_json(entry.read_text(encoding="utf-8"), entry.name)
            description = value.get("description", "") if isinstance(value, dict) else ""
            described[entry.name.removesuffix(".json")] = str(description)
    return described
