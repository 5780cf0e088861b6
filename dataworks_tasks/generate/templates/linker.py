"""Link columns to the fields that they are made from, once all collections are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dataworks_tasks.errors import Finding
from dataworks_tasks.generate.batch.values import Kind
from dataworks_tasks.generate.fields.expression_syntax import ExpressionError
from dataworks_tasks.generate.fields.model import Column, Field, Linker, Record, Target
from dataworks_tasks.generate.fields.reader import Reader


def link(reader: Reader, targets: Mapping[str, Target]) -> None:
    """Link every column the reader made; refuse fields that are made from themselves.

    The kind of a field may be known only after another one is linked, so this repeats until nothing
    changes.
    """
    before: list[Finding] = []
    while (findings := _link_once(reader, targets)) and findings != before:
        before = findings
    reader.findings += _circles(targets) or findings


def _link_once(reader: Reader, targets: Mapping[str, Target]) -> list[Finding]:
    findings: list[Finding] = []
    for path, record, column in reader.columns:
        column.link(Linker(path, record, targets, findings))
    for path, record, condition in reader.conditions:
        try:
            kind = condition.link(record)
        except ExpressionError as error:
            findings.append(Finding(path, str(error)))
            continue
        if kind is not Kind.BOOLEAN:
            findings.append(Finding(path, f"must be true or false, not a {kind}"))
    return findings


def _circles(targets: Mapping[str, Target]) -> list[Finding]:
    done: set[Field] = set()
    for target in targets.values():
        for field in _all_fields(target.record):
            circle = _circle(field, [], done)
            if circle:
                names = " from ".join(entry.path for entry in circle)
                return [Finding(field.path, f"depends on itself: {names}")]
    return []


def _circle(field: Field, way: list[Field], done: set[Field]) -> list[Field]:
    if field in way:
        return [*way[way.index(field) :], field]
    if field in done:
        return []
    for needed in field.depends():
        circle = _circle(needed, [*way, field], done)
        if circle:
            return circle
    done.add(field)
    return []


def _all_fields(record: Record) -> Iterator[Field]:
    for field in record.fields.values():
        yield from _inside(field)


def _inside(field: Field) -> Iterator[Field]:
    yield field
    column: Column = field.column
    for part in column.nested():
        yield from _inside(part)
