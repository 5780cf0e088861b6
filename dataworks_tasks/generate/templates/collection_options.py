"""Indexes and sharding of a collection, as mgodatagen writes them, ready for MongoDB's commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataworks_tasks.generate.batch.values import Kind
from dataworks_tasks.generate.fields.model import Record
from dataworks_tasks.generate.fields.template_node import (
    ABSENT,
    TemplateNode,
    TemplateReading,
    as_number,
    shown,
)

_KINDS = ("text", "2d", "2dsphere", "hashed")
_FLAGS = ("unique", "sparse", "background", "hidden")
_NUMBERS = ("expireAfterSeconds", "bits", "min", "max", "bucketSize", "v", "sphereVersion",
            "2dsphereIndexVersion", "textIndexVersion")  # fmt: skip
_TEXTS = ("default_language", "language_override")
_OBJECTS = ("partialFilterExpression", "weights", "collation", "wildcardProjection",
            "storageEngine")  # fmt: skip
_ALIASES = {"expireAfterSeconds": ("expireAfter",)}
_SPELLED = {"sphereVersion": "2dsphereIndexVersion", "defaultLanguage": "default_language",
            "languageOverride": "language_override"}  # fmt: skip

_NOT_GIVEN = float("nan")


def template_indexes(node: TemplateNode) -> tuple[Mapping[str, Any], ...]:
    """``indexes`` as index documents of ``createIndexes``; keys keep their order."""
    indexes: list[Mapping[str, Any]] = []
    entries = node.take("indexes")
    if entries is not ABSENT and not isinstance(entries, list):
        node.refuse("indexes", f"must be a list of indexes, not {shown(entries)}")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            node.refuse(f"indexes[{index}]", f"must be an object, not {shown(entry)}")
            continue
        inner = TemplateNode(
            entry, f"{node.path}.indexes[{index}]".strip("."), node.reader, node.record
        )
        read = _read_index(inner)
        _check_index(inner, read, indexes)
        indexes.append(read)
    return tuple(indexes)


def _check_index(
    node: TemplateNode, index: Mapping[str, Any], earlier: list[Mapping[str, Any]]
) -> None:
    """Refuse what every server refuses, including conflicts with ``earlier`` indexes."""
    if not index["name"] and index["key"]:
        node.refuse("name", "must not be empty")
    if index.get("expireAfterSeconds", 0) < 0:
        node.refuse("expireAfterSeconds", f"must be 0 or more, not {index['expireAfterSeconds']:g}")
    for other in earlier:
        if other["name"] == index["name"]:
            node.refuse("name", f"{shown(index['name'])} is also the name of another index")
            return
        same_key = list(other["key"].items()) == list(index["key"].items())
        if same_key and other.get("collation") == index.get("collation"):
            node.refuse("key", f"is the same as that of the index {shown(other['name'])}")
            return


def _read_index(node: TemplateNode) -> Mapping[str, Any]:
    key = _read_key(node)
    name = node.text("name", "_".join(f"{field}_{kind}" for field, kind in key.items()))
    index: dict[str, Any] = {"key": key, "name": name}
    for option in _FLAGS:
        if node.has(option):
            index[option] = node.flag(option, False)
        else:
            node.take(option)
    for option in _NUMBERS:
        value = node.number(option, _NOT_GIVEN, *_ALIASES.get(option, ()))
        if value is not _NOT_GIVEN:
            index[_SPELLED.get(option, option)] = value
    for option, *aliases in (("default_language", "defaultLanguage"),
                             ("language_override", "languageOverride")):  # fmt: skip
        value_text = node.text(option, "", *aliases)
        if value_text:
            index[option] = value_text
    for option in _OBJECTS:
        entry = node.take(option)
        if isinstance(entry, dict):
            index[option] = entry
        elif entry is not ABSENT:
            node.refuse(option, f"must be an object, not {shown(entry)}")
    if node.flag("dropDups", False):
        node.reader.note(
            f"{node.path}: dropDups is ignored: MongoDB 3.0 removed it, "
            "and refuses a unique index over duplicates"
        )
    node.finish()
    return index


def _read_key(node: TemplateNode) -> dict[str, Any]:
    value = node.take("key", "keys")
    if not isinstance(value, dict) or not value:
        node.refuse("key", f"must be an object of fields and directions, not {shown(value)}")
        return {}
    key: dict[str, Any] = {}
    for field, kind in value.items():
        number = as_number(kind)
        key[field] = kind if number is None else (int(number) if number == int(number) else number)
        if number is None and kind not in _KINDS:
            node.refuse(
                f"key.{field}", f"must be 1, -1 or one of {', '.join(_KINDS)}, not {shown(kind)}"
            )
        if not all(field.split(".")):
            node.refuse("key", f"{shown(field)} has an empty field name")
        if number == 0:
            node.refuse(f"key.{field}", "must be 1 or -1, not 0")
    return key


def read_shard_config(
    node: TemplateNode, database: str, collection: str
) -> Mapping[str, Any] | None:
    """``shardConfig``: shardCollection, key, unique, numInitialChunks, collation."""
    config = node.nested("shardConfig")
    if config is None:
        return None
    read: dict[str, Any] = {"key": _read_key(config)}
    target = config.text("shardCollection", "")
    if target:
        read["shardCollection"] = target
        named_database, _, named = target.partition(".")
        if named != collection or database not in {"", named_database}:
            meant = f"{database or 'DATABASE'}.{collection}"
            config.refuse("shardCollection", f"is {shown(target)}, and this collection is {meant}")
    if config.flag("unique", False):
        read["unique"] = True
    chunks = config.integer("numInitialChunks", 0, least=0, most=8192)
    if chunks:
        read["numInitialChunks"] = chunks
    collation = config.take("collation")
    if isinstance(collation, dict):
        read["collation"] = collation
    config.finish()
    return read


_CREATE_OPTIONS: Mapping[str, type] = {
    "timeseries": dict, "expireAfterSeconds": int, "capped": bool, "size": int, "max": int,
    "validator": dict, "validationLevel": str, "validationAction": str, "collation": dict,
    "clusteredIndex": dict, "changeStreamPreAndPostImages": dict,
}  # fmt: skip


def read_create_options(node: TemplateNode) -> Mapping[str, Any]:
    """Read the ``options`` of the ``create`` command, and check the JSON type of each."""
    inner = node.nested("options")
    if inner is None:
        return {}
    options: dict[str, Any] = {}
    for name, kind in _CREATE_OPTIONS.items():
        value = inner.take(name)
        if value is ABSENT:
            continue
        right = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
        if not right:
            inner.refuse(name, f"must be {_KIND_NAMES[kind]}, not {shown(value)}")
        options[name] = value
    inner.finish()
    if "capped" in options and "size" not in options:
        inner.refuse("capped", "needs size, the largest size of the collection in bytes")
    if "timeseries" in options and not isinstance(options["timeseries"].get("timeField"), str):
        inner.refuse("timeseries", "needs timeField, the field with each document's date")
    return options


_KIND_NAMES: Mapping[type, str] = {
    dict: "an object", int: "a whole number", bool: "true or false", str: "a string",
}  # fmt: skip


def check_create_options(
    reading: TemplateReading, name: str, options: Mapping[str, Any], content: Record
) -> None:
    """Refuse a time series whose documents lack the date of its time field."""
    series = options.get("timeseries")
    if not isinstance(series, dict) or not isinstance(series.get("timeField"), str):
        return
    field = content.fields.get(series["timeField"])
    dated = field is not None and field.column.kind is Kind.DATE
    if field is None or field.hidden or not field.always or not dated:
        reading.refuse(
            f"{name}.options.timeseries.timeField",
            f"must be a date that every document has, and {series['timeField']!r} is not",
        )
