"""Indexes and sharding of a collection, as mgodatagen writes them, ready for MongoDB's commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataworks_tasks.generate.fields.spec import ABSENT, Spec, as_number, shown

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


def read_indexes(spec: Spec) -> tuple[Mapping[str, Any], ...]:
    """``indexes`` as index documents of ``createIndexes``; keys keep their order."""
    indexes = []
    entries = spec.take("indexes")
    if entries is not ABSENT and not isinstance(entries, list):
        spec.refuse("indexes", f"must be a list of indexes, not {shown(entries)}")
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            spec.refuse(f"indexes[{place}]", f"must be an object, not {shown(entry)}")
            continue
        inner = Spec(entry, f"{spec.path}.indexes[{place}]".strip("."), spec.reader, spec.record)
        indexes.append(_read_index(inner))
    return tuple(indexes)


def _read_index(spec: Spec) -> Mapping[str, Any]:
    key = _read_key(spec)
    name = spec.text("name", "_".join(f"{field}_{kind}" for field, kind in key.items()))
    index: dict[str, Any] = {"key": key, "name": name}
    for option in _FLAGS:
        if spec.has(option):
            index[option] = spec.flag(option, False)
        else:
            spec.take(option)
    for option in _NUMBERS:
        value = spec.number(option, _NOT_GIVEN, *_ALIASES.get(option, ()))
        if value is not _NOT_GIVEN:
            index[_SPELLED.get(option, option)] = value
    for option, *aliases in (("default_language", "defaultLanguage"),
                             ("language_override", "languageOverride")):  # fmt: skip
        value_text = spec.text(option, "", *aliases)
        if value_text:
            index[option] = value_text
    for option in _OBJECTS:
        entry = spec.take(option)
        if isinstance(entry, dict):
            index[option] = entry
        elif entry is not ABSENT:
            spec.refuse(option, f"must be an object, not {shown(entry)}")
    if spec.flag("dropDups", False):
        spec.reader.note(
            f"{spec.path}: dropDups is ignored: MongoDB has no such option since 3.0, "
            "and a unique index over duplicates is refused"
        )
    spec.finish()
    return index


def _read_key(spec: Spec) -> dict[str, Any]:
    value = spec.take("key", "keys")
    if not isinstance(value, dict) or not value:
        spec.refuse("key", f"must be an object of fields and directions, not {shown(value)}")
        return {}
    key: dict[str, Any] = {}
    for field, kind in value.items():
        number = as_number(kind)
        key[field] = kind if number is None else (int(number) if number == int(number) else number)
        if number is None and not isinstance(kind, str):
            spec.refuse(f"key.{field}", f"must be 1, -1 or an index type, not {shown(kind)}")
    return key


def read_shard_config(spec: Spec) -> Mapping[str, Any] | None:
    """``shardConfig``: shardCollection, key, unique, numInitialChunks, collation."""
    config = spec.nested("shardConfig")
    if config is None:
        return None
    read: dict[str, Any] = {"key": _read_key(config)}
    target = config.text("shardCollection", "")
    if target:
        read["shardCollection"] = target
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
