"""Declared changes (rename, drop, set, mask), applied to raw bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from bson import encode
from bson.errors import BSONError
from bson.json_util import loads

from dataworks_tasks.documents.bson_types import NULL
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import EXTENDED_JSON, Element, elements
from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.document_change import Changed, DocumentChange
from dataworks_tasks.migrate.document_layout import DocumentLayout, take_apart
from dataworks_tasks.migrate.field_tree import (
    ARRAY,
    FieldNames,
    FieldNode,
    FieldNodes,
    NotAlike,
    Route,
)
from dataworks_tasks.migrate.masking import Mask, alike, create_mask
from dataworks_tasks.migrate.rebuilt_batch import RebuiltBatch
from dataworks_tasks.migrate.rules import RuleOutcome
from dataworks_tasks.runs.spec import Transform

Path = tuple[bytes, ...]
Step = Callable[[FieldNodes, RuleOutcome], None]
"""Applies one rule to a document, and counts what it did."""


def by_transform(transform: Transform) -> DocumentChange:
    """Build the change that ``transform`` declares.

    Paths are dotted and pass through arrays, into each document of an array; masks and drops also
    find fields with dots in their names. Untouched fields keep their bytes and their order. Raises
    UsageError that names the option that cannot be applied.
    """
    steps, names = _compile(transform)

    def change(batch: EncodedBatch) -> Changed:
        rebuilt = RebuiltBatch(len(batch))
        application = _Application(steps)
        for layout in take_apart(batch, names):
            if application.to_layout(layout):
                rebuilt.put_layout(layout)
        refused: list[tuple[bytes, str]] = []
        for row in rebuilt.missing():
            document = batch.document(row)
            try:
                fields = FieldNodes.read(document, names)
                application.to_document(fields)
                rebuilt.put(row, fields.to_bytes())
            except ValueError as error:
                refused.append((document, f"it cannot be changed: {error}"))
        return Changed(rebuilt.batch(), refused=refused, rules=application.outcomes)

    return change


class _Application:
    """Applies the rules to the documents of one batch, and counts what each of them did.

    ``_latest`` counts for one layout or one document; it is added to the total once every rule was
    applied.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.outcomes = [RuleOutcome() for _ in steps]
        self._latest = [RuleOutcome() for _ in steps]
        self._steps = list(zip(steps, self._latest, strict=True))

    def to_layout(self, layout: DocumentLayout) -> bool:
        """Change all documents of a layout; False if they have to be changed one by one."""
        try:
            self._apply(layout.fields, len(layout.rows))
        except NotAlike:
            return False
        return True

    def to_document(self, document: FieldNodes) -> None:
        """Change one document. Raises ValueError if that is not possible."""
        self._apply(document, 1)

    def _apply(self, fields: FieldNodes, documents: int) -> None:
        for _, outcome in self._steps:
            outcome.clear()
        for step, outcome in self._steps:
            step(fields, outcome)
        for total, outcome in zip(self.outcomes, self._latest, strict=True):
            total.add(outcome, documents)


def _compile(transform: Transform) -> tuple[list[Step], FieldNames]:
    paths: list[Path] = []

    def path(text: str, option: str) -> Path:
        paths.append(_path(text, option))
        return paths[-1]

    renames = [(path(old, "--rename"), path(new, "--rename")) for old, new in transform.rename]
    steps = [_rename(old, new) for old, new in renames]
    steps += [_drop(path(text, "--drop-field")) for text in transform.drop]
    steps += [_set(path(text, "--set"), _parsed(text, value)) for text, value in transform.set]
    steps += [
        _mask(path(text, "--mask"), create_mask(mask, transform.mask_seed))
        for text, mask in transform.mask
    ]
    return steps, _names(paths, renames)


def _path(text: str, option: str) -> Path:
    parts = tuple(part.encode() for part in text.split("."))
    if not all(parts) or text.startswith("$"):
        raise UsageError(
            f"{option} {text!r} is not a field", "Write a name or a dotted path, like address.city"
        )
    if parts[0] == b"_id":
        raise UsageError(
            f"{option} cannot change {text!r}: documents are recognized by their _id",
            "Change _id in a migration strategy of your own",
        )
    return parts


def _parsed(field: str, value: str) -> Element:
    try:
        return next(elements(encode({"v": loads(value, json_options=EXTENDED_JSON)})))
    except (ValueError, TypeError, BSONError):
        raise UsageError(
            f"--set {field}={value}: the value is not Extended JSON",
            f"Strings need quotes: --set '{field}=\"text\"'",
        ) from None


class _Level(dict[bytes, "_Level"]):
    """Names of one level of documents, each with those of the level below."""

    def at(self, path: Path) -> _Level:
        level = self
        for name in path:
            level = level.setdefault(name, _Level())
        return level

    def follow(self, route: Route) -> None:
        for name, rest in route.steps:
            level = self.setdefault(name, _Level())
            if rest is not None:
                level.follow(rest)

    def merge(self, other: _Level) -> None:
        for name, below in other.items():
            self.setdefault(name, _Level()).merge(below)


def _names(paths: Sequence[Path], renames: Sequence[tuple[Path, Path]]) -> FieldNames:
    """Return the fields to parse; for a rename, also the new name."""
    names = _Level()
    for path in paths:
        names.follow(Route.of(path))
    for old, new in reversed(renames):
        names.at(old).merge(names.at(new))
    return cast("FieldNames", names)


def _drop(path: Path) -> Step:
    route = Route.of(path)

    def step(document: FieldNodes, outcome: RuleOutcome) -> None:
        for holder, field in list(document.at(route, outcome)):
            holder.remove([field])
            outcome.changed += 1

    return step


def _set(path: Path, value: Element) -> Step:
    def step(document: FieldNodes, outcome: RuleOutcome) -> None:
        for holder in document.made_holders(path, outcome):
            present = holder.called(path[-1])
            if not present:
                holder.append(value.type, path[-1], value.value)
                outcome.added += 1
            for field in present:
                field.put(value.type, value.value)
            outcome.changed += len(present)

    return step


def _mask(path: Path, mask: Mask) -> Step:
    route = Route.of(path)

    def step(document: FieldNodes, outcome: RuleOutcome) -> None:
        for _, field in document.at(route, outcome):
            _mask_field(field, mask, outcome)

    return step


def _mask_field(field: FieldNode, mask: Mask, outcome: RuleOutcome) -> None:
    inside = field.open() if field.type == ARRAY else None
    if inside is not None:
        members = inside.members()
        for member in members:
            _mask_field(member, mask, outcome)
        outcome.empty += not members
    elif field.type == NULL:
        outcome.empty += 1
    else:
        before = field.type
        field.replace(mask)
        outcome.changed += 1
        outcome.retyped += not alike(before, field.type)


def _rename(old: Path, new: Path) -> Step:
    if old == new or old[: len(new)] == new or new[: len(old)] == old:
        raise UsageError(
            f"--rename {_dotted(old)}={_dotted(new)}: the fields are the same, or one "
            "is inside the other",
            "Give two different fields",
        )
    if old[:-1] == new[:-1]:
        return _rename_in_place(old, new[-1])

    def step(document: FieldNodes, outcome: RuleOutcome) -> None:
        for holder in list(document.holders(old, outcome)):
            taken = holder.called(old[-1])
            if not taken:
                continue
            if _through_array(document, old):
                raise ValueError(f"{_dotted(old)} is in an array and cannot move out of it")
            holder.remove(taken)
            place = next(document.made_holders(new, outcome), None)
            if place is None:
                raise ValueError(f"{_dotted(new)} is in an array without documents")
            displaced = place.called(new[-1])
            place.remove(displaced)
            outcome.displaced += len(displaced)
            for field in taken:  # a document may repeat it
                field.name = new[-1]
            place.parts += taken
            outcome.changed += len(taken)

    return step


def _rename_in_place(old: Path, name: bytes) -> Step:
    def step(document: FieldNodes, outcome: RuleOutcome) -> None:
        for holder in list(document.holders(old, outcome)):
            taken = holder.called(old[-1])
            if taken:
                displaced = holder.called(name)
                holder.remove(displaced)
                outcome.displaced += len(displaced)
            for field in taken:
                field.name = name
            outcome.changed += len(taken)

    return step


def _through_array(document: FieldNodes, path: Path) -> bool:
    fields = document
    for name in path[:-1]:
        found = fields.called(name)
        inside = found[0].open() if found else None
        if inside is None:
            return False
        if inside.is_array:
            return True
        fields = inside
    return False


def _dotted(path: Path) -> str:
    return b".".join(path).decode()
