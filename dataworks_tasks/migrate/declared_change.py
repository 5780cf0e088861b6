"""Declared changes (rename, drop, set, mask), applied to raw bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from bson import encode
from bson.errors import BSONError
from bson.json_util import loads

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.documents.raw_bson import Element, elements
from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.document_change import Changed, DocumentChange
from dataworks_tasks.migrate.document_layout import Layout, take_apart
from dataworks_tasks.migrate.field_tree import ARRAY, Field, Fields, Names, NotAlike
from dataworks_tasks.migrate.masking import NULL, Mask, create_mask
from dataworks_tasks.migrate.rebuilt_batch import RebuiltBatch
from dataworks_tasks.runs.spec import Transform

Path = tuple[bytes, ...]
Step = Callable[[Fields], None]


def by_transform(transform: Transform) -> DocumentChange:
    """The change that ``transform`` declares.

    Paths are dotted and go through arrays, into each document of them. Fields that are not touched
    keep their bytes and their order. Raises UsageError naming the option that cannot be done.
    """
    steps, names = _compile(transform)

    def change(batch: EncodedBatch) -> Changed:
        rebuilt = RebuiltBatch(len(batch))
        for layout in take_apart(batch, names):
            if _apply(steps, layout):
                rebuilt.put_layout(layout)
        refused: list[tuple[bytes, str]] = []
        for row in rebuilt.missing():
            document = batch.document(row)
            try:
                rebuilt.put(row, _changed(steps, Fields.read(document, names)))
            except ValueError as error:
                refused.append((document, f"it cannot be changed: {error}"))
        return Changed(rebuilt.batch(), refused=refused)

    return change


def _apply(steps: Sequence[Step], layout: Layout) -> bool:
    """Change all documents of a layout; False where they have to be changed one by one."""
    try:
        for step in steps:
            step(layout.fields)
    except NotAlike:
        return False
    return True


def _changed(steps: Sequence[Step], document: Fields) -> bytes:
    for step in steps:
        step(document)
    return document.to_bytes()


def _compile(transform: Transform) -> tuple[list[Step], Names]:
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
        return next(elements(encode({"v": loads(value)})))
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

    def merge(self, other: _Level) -> None:
        for name, below in other.items():
            self.setdefault(name, _Level()).merge(below)


def _names(paths: Sequence[Path], renames: Sequence[tuple[Path, Path]]) -> Names:
    """What has to be taken apart: a field that is renamed also as the one it becomes."""
    names = _Level()
    for path in paths:
        names.at(path)
    for old, new in reversed(renames):
        names.at(old).merge(names.at(new))
    return cast("Names", names)


def _drop(path: Path) -> Step:
    def step(document: Fields) -> None:
        for holder in list(document.holders(path)):
            holder.remove(holder.called(path[-1]))

    return step


def _set(path: Path, value: Element) -> Step:
    def step(document: Fields) -> None:
        for holder in document.made_holders(path):
            present = holder.called(path[-1])
            if not present:
                holder.append(value.type, path[-1], value.value)
            for field in present:
                field.put(value.type, value.value)

    return step


def _mask(path: Path, mask: Mask) -> Step:
    def step(document: Fields) -> None:
        for holder in document.holders(path):
            for field in holder.called(path[-1]):
                _mask_field(field, mask)

    return step


def _mask_field(field: Field, mask: Mask) -> None:
    inside = field.open() if field.type == ARRAY else None
    if inside is not None:
        for member in inside.members():
            _mask_field(member, mask)
    elif field.type != NULL:
        field.replace(mask)


def _rename(old: Path, new: Path) -> Step:
    if old == new or old[: len(new)] == new or new[: len(old)] == old:
        raise UsageError(
            f"--rename {_dotted(old)}={_dotted(new)}: one is the other or inside it",
            "Give two different fields",
        )
    if old[:-1] == new[:-1]:
        return _rename_in_place(old, new[-1])

    def step(document: Fields) -> None:
        for holder in list(document.holders(old)):
            taken = holder.called(old[-1])
            if not taken:
                continue
            if _through_array(document, old):
                raise ValueError(f"{_dotted(old)} is in an array and cannot move out of it")
            holder.remove(taken)
            place = next(document.made_holders(new), None)
            if place is None:
                raise ValueError(f"{_dotted(new)} is in an array without documents")
            place.remove(place.called(new[-1]))
            taken[0].name = new[-1]
            place.parts.append(taken[0])

    return step


def _rename_in_place(old: Path, name: bytes) -> Step:
    def step(document: Fields) -> None:
        for holder in list(document.holders(old)):
            taken = holder.called(old[-1])
            if taken:
                holder.remove(holder.called(name))
            for field in taken:
                field.name = name

    return step


def _through_array(document: Fields, path: Path) -> bool:
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
