"""Reads the three forms of template: mgodatagen's array, the 2025 form, and our own.

[{"database", "collection", "count", "content", ...}, ...]          mgodatagen
{"name", "version", "schema": {field: {"type", "generator", ...}}}  DataWorks 2025
{"name", "description", "collections": [...]}                       several collections
{"name", "description", "collection", "count", "content"}           one collection
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from pathlib import PurePath
from time import time
from typing import Any

from dataworks_tasks.errors import Finding, TemplateError
from dataworks_tasks.generate.columns.aggregator import aggregators_of, without_aggregators
from dataworks_tasks.generate.columns.simple import ObjectIdColumn
from dataworks_tasks.generate.fields.instants import read_instant, shown_instant
from dataworks_tasks.generate.fields.model import Field, Record, Target
from dataworks_tasks.generate.fields.reader import Reader
from dataworks_tasks.generate.fields.registry import column_types
from dataworks_tasks.generate.fields.template_node import (
    ABSENT,
    TemplateNode,
    TemplateReading,
    shown,
)
from dataworks_tasks.generate.templates.collection_options import (
    check_create_options,
    read_create_options,
    read_shard_config,
    template_indexes,
)
from dataworks_tasks.generate.templates.linker import link
from dataworks_tasks.generate.templates.schema_form import content_of_schema
from dataworks_tasks.generate.templates.template import CollectionTemplate, Template
from dataworks_tasks.runs.bounds import MAX_DOCUMENTS

_COMPRESSORS = ("", "none", "snappy", "zlib", "zstd")


def read_template(document: object, source: str) -> Template:
    """Read a template from its JSON value. See ``load_template.parse_template``."""
    reader = Reader(column_types())
    stem = PurePath(source).name.removesuffix(".json") or "template"
    if isinstance(document, list):
        document = {"name": stem, "collections": document}
    if not isinstance(document, Mapping):
        finding = Finding("", f"must be an object or a list of collections, not {shown(document)}")
        raise TemplateError(source, [finding])
    head = TemplateNode(document, "", reader, Record())
    name = head.text("name", stem)
    description = head.text("description", "")
    reader.moment = floor(time() * 1000)
    if head.has("now"):
        reader.moment = read_instant(head, "now", "")
    else:
        head.take("now")
    for ignored in ("version", "$schema", "metadata"):
        head.take(ignored)
    if head.has("collections"):
        entries = head.items("collections")
        nodes = [_entry(entry, index, reader) for index, entry in enumerate(entries)]
        collections = [_read_collection(node, name) for node in nodes if node is not None]
        head.finish()
    else:
        collections = [_read_collection(head, name)]
    _link_all(reader, collections)
    for collection in collections:
        _check_id(collection.content, reader, collection.name)
        check_create_options(reader, collection.name, collection.options, collection.content)
    if reader.findings:
        raise TemplateError(source, reader.findings)
    notes = tuple(reader.notes)
    kept = dict(document)
    if reader.moment_used and not head.has("now"):
        # Every worker must mean the same moment, even tomorrow.
        kept["now"] = shown_instant(reader.moment)
    return Template(name, description, tuple(collections), kept, notes)


def _entry(entry: object, place: int, reader: Reader) -> TemplateNode | None:
    path = f"collections[{place}]"
    if not isinstance(entry, Mapping):
        reader.refuse(path, f"must be an object, not {shown(entry)}")
        return None
    return TemplateNode(entry, path, reader, Record())


def _read_collection(node: TemplateNode, template_name: str) -> CollectionTemplate:
    database = node.text("database", "", "db")
    collection = node.text("collection", template_name if not node.path else "")
    if not collection:
        node.refuse("collection", "is missing")
    name = f"{database}.{collection}" if database else collection
    count = node.integer("count", 0, least=1, most=MAX_DOCUMENTS)
    indexes = template_indexes(node)
    shard_config = read_shard_config(node, database, collection)
    compression = node.choice("compressionLevel", "", _COMPRESSORS)
    options = read_create_options(node)
    content = _read_content(node, name)
    aggregators = aggregators_of(content)
    node.finish()
    return CollectionTemplate(
        name, database, collection, count or None, indexes, compression,
        shard_config, aggregators, without_aggregators(content), options,
    )  # fmt: skip


def _read_content(node: TemplateNode, name: str) -> Record:
    record = Record()
    schema = node.take("schema", "fields") if not node.path else ABSENT
    content: Any = node.take("content")
    if schema is not ABSENT:
        content = content_of_schema(schema)
    if content is ABSENT:
        node.refuse("content", "is missing: the fields of the documents")
        return record
    reader = node.reader
    reader.collection = name
    own_id = isinstance(content, Mapping) and any(key == "_id" for key in content)
    if not own_id:
        record.add([Field("_id", f"{name}._id", ObjectIdColumn(name))])
    reader.read_record(content, name, record)
    return record


def _check_id(record: Record, reader: TemplateReading, name: str) -> None:
    field = record.fields.get("_id")
    if field is not None and not (field.column.unique and field.always and not field.distinct):
        reader.refuse(
            f"{name}._id",
            "must be unique by its type: objectId, uuid, autoincrement, sequence, unique, a string "
            "or number with unique, a oneToOne reference to such a field, or an object with one in "
            "it; without missing, null, when or maxDistinctValue",
        )


def _link_all(reader: Reader, collections: list[CollectionTemplate]) -> None:
    targets: dict[str, Target] = {}
    for entry in collections:
        if entry.name in targets:
            reader.refuse(entry.name, "two collections have this name")
        target = Target(entry.name, entry.content, entry.count)
        targets[entry.name] = target
        targets.setdefault(entry.collection, target)
    link(reader, targets)
