"""Declared changes (rename, drop, set, mask), applied to raw bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bson import encode
from bson.errors import BSONError
from bson.json_util import loads

from dataworks_tasks.encoded_batch import EncodedBatch
from dataworks_tasks.errors import UsageError
from dataworks_tasks.migrate.document_change import Changed, DocumentChange
from dataworks_tasks.migrate.field_tree import Field, Fields, Names
from dataworks_tasks.migrate.masking import Mask, create_mask
from dataworks_tasks.raw_bson import Element, elements
from dataworks_tasks.run_spec import Transform

Path = tuple[bytes, ...]
Step = Callable[[Fields], None]

_DOCUMENT, _ARRAY = 0x03, 0x04
_EMPTY = b"\x05\0\0\0\0"


def by_transform(transform: Transform) -> DocumentChange:
    """The change that ``transform`` declares.

    Paths are dotted and go through arrays, into each document of them. Fields that are not touched
    keep their bytes and their order. Raises UsageError naming the option that cannot be done.
    """
    steps, names = _compile(transform)

    def change(batch: EncodedBatch) -> Changed:
        made: list[bytes] = []
        refused: list[tuple[bytes, str]] = []
        for document in batch.documents():
            try:
                fields = Fields.read(document, names)
                for step in steps:
                    step(fields)
                made.append(fields.to_bytes())
            except ValueError as error:
                refused.append((document, f"it cannot be changed: {error}"))
        return Changed(EncodedBatch.of(made), refused=refused)

    return change


def _compile(transform: Transform) -> tuple[list[Step], Names]:
    paths: list[Path] = []

    def path(text: str, option: str) -> Path:
        paths.append(_path(text, option))
        return paths[-1]

    steps: list[Step] = [
        _rename(path(old, "--rename"), path(new, "--rename")) for old, new in transform.rename
    ]
    steps += [_drop(path(text, "--drop-field")) for text in transform.drop]
    steps += [_set(path(text, "--set"), _parsed(text, value)) for text, value in transform.set]
    steps += [
        _mask(path(text, "--mask"), create_mask(mask, transform.mask_seed))
        for text, mask in transform.mask
    ]
    return steps, _names(paths)


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


def _names(paths: Iterable[Path]) -> Names:
    tree: dict[bytes, dict[bytes, object]] = {}
    for path in paths:
        level = tree
        for name in path:
            level = level.setdefault(name, {})  # type: ignore[assignment]
    return tree  # type: ignore[return-value]


def _drop(path: Path) -> Step:
    def step(document: Fields) -> None:
        for holder in list(document.holders(path)):
            holder.remove(holder.called(path[-1]))

    return step


def _set(path: Path, value: Element) -> Step:
    def step(document: Fields) -> None:
        _put(document, path, value)

    return step


def _put(fields: Fields, path: Sequence[bytes], value: Element) -> None:
    """Set a field, making the documents on the way to it."""
    if fields.is_array:
        for member in fields.members():
            inside = member.open()
            if inside is not None:
                _put(inside, path, value)
        return
    present = fields.called(path[0])
    if len(path) == 1:
        if not present:
            fields.append(value._replace(name=path[0]))
        for field in present:
            field.put(value.type, value.value)
        return
    for field in present or [fields.append(Element(_DOCUMENT, path[0], _EMPTY))]:
        if field.open() is None:
            field.put(_DOCUMENT, _EMPTY)
        inside = field.open()
        if inside is not None:
            _put(inside, path[1:], value)


def _mask(path: Path, mask: Mask) -> Step:
    def step(document: Fields) -> None:
        for holder in document.holders(path):
            for field in holder.called(path[-1]):
                _mask_field(field, mask)

    return step


def _mask_field(field: Field, mask: Mask) -> None:
    inside = field.open() if field.type == _ARRAY else None
    if inside is not None:
        for member in inside.members():
            _mask_field(member, mask)
        return
    masked = mask(field.element)
    field.put(masked.type, masked.value)


def _rename(old: Path, new: Path) -> Step:
    if old == new or old[: len(new)] == new or new[: len(old)] == old:
        raise UsageError(
            f"--rename {_dotted(old)}={_dotted(new)}: one is the other or inside it",
            "Give two different fields",
        )
    same_parent = old[:-1] == new[:-1]

    def step(document: Fields) -> None:
        for holder in list(document.holders(old)):
            taken = holder.called(old[-1])
            if not taken:
                continue
            if same_parent:
                holder.remove(holder.called(new[-1]))
                for field in taken:
                    field.rename(new[-1], holder.names.get(new[-1], {}))
                continue
            if _through_array(document, old):
                raise ValueError(f"{_dotted(old)} is in an array and cannot move out of it")
            holder.remove(taken)
            _put(document, new, taken[0].element)

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
