"""Ways to cut one collection into slices, and which one a server needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple

from dataworks_tasks.documents.raw_bson import Element
from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.runs.choices import Partitioner
from dataworks_tasks.scan.key_space import BRACKETS, KeyRange, bracket_of_type, key_ranges_between
from dataworks_tasks.scan.slice import OBJECT_ID, STRING, Slice, SliceKind
from dataworks_tasks.slicing.collection_keys import CollectionKeys

_SKIP_FROM = 1000
"""Slices of this many documents are found by skipping in the index: measured on 1,000,000 keys,
0.3 s against 1.2 s for reading them all."""
_KEYS_PER_READ = 20_000
_SAMPLES_PER_SLICE = 10
_MOST_SAMPLES = 200_000
_LOWEST_STRING = Element(STRING, b"", b"\x01\0\0\0\0")


class SizedSlice(NamedTuple):
    """A slice, and about how many documents it holds."""

    slice: Slice
    documents: int


Bounds = Iterator[tuple[Element, int]]
"""Bounds in key order, each with the documents between it and the one before."""


def partition(
    keys: CollectionKeys, partitioner: str, pair: int, last: Slice | None
) -> Iterator[SizedSlice]:
    """Slices of namespace pair ``pair`` by the named partitioner, after ``last`` if it is given.

    ``auto`` walks the index, unless the server's order of types is unknown (Cosmos DB RU). Raises
    UnknownName for another name, UsageError if the server does not support it.
    """
    if partitioner == "auto":
        has_sample = keys.source.capabilities.sample
        partitioner = Partitioner.WALK if has_sample else Partitioner.OBJECT_ID_TIME
    cut = PARTITIONERS.get(partitioner)
    if cut is None:
        raise UnknownName.among("partitioner", partitioner, [*PARTITIONERS, "auto"])
    if last is not None and last.kind is SliceKind.NATURAL:
        return iter(())
    if last is None and keys.source.capabilities.collection_stats and keys.is_capped():
        return iter((SizedSlice(Slice(pair, kind=SliceKind.NATURAL), keys.estimated_count()),))
    return cut(keys, pair, last)


def walk(keys: CollectionKeys, pair: int, last: Slice | None) -> Iterator[SizedSlice]:
    """Slices of exactly ``keys.size`` documents, as far as keys are unique."""
    if last is not None and last.upper is None:
        return
    lower = last.upper if last else None
    yield from _ranges(pair, lower, _walk_bounds(keys, key_ranges_between(lower, None, keys.field)))


def _ranges(
    pair: int, lower: Element | None, bounds: Bounds, kind: SliceKind = SliceKind.RANGE
) -> Iterator[SizedSlice]:
    """Slices between ``bounds``; the last bound of all, an empty one, is the open end."""
    for bound, documents in bounds:
        upper = None if bound is _OPEN else bound
        yield SizedSlice(Slice(pair, lower, upper, kind), documents)
        lower = bound


_OPEN = Element(-1, b"", b"")


def _walk_bounds(keys: CollectionKeys, key_ranges: Iterator[KeyRange]) -> Bounds:
    waiting = 0
    for key_range in key_ranges:
        left = key_range
        while bounds := _bounds_in(keys, left, max(0, keys.size - waiting)):
            for bound in bounds:
                yield bound, max(keys.size, waiting)
                waiting = 0
            left = left._replace(lower=bounds[-1])
        waiting += keys.count(left)
    yield _OPEN, waiting


def _bounds_in(keys: CollectionKeys, key_range: KeyRange, first: int) -> Sequence[Element]:
    """Return the next bounds in ``key_range``: the key at ``first``, and maybe more.

    Bounds are ``keys.size`` documents apart.
    """
    if BRACKETS[key_range.bracket].one_value and (first > 0 or key_range.lower is not None):
        return ()
    if keys.size >= _SKIP_FROM:
        found = keys.find([key_range], limit=1, skip=first)
    else:
        steps = max(1, _KEYS_PER_READ // keys.size)
        found = keys.find([key_range], limit=first + keys.size * steps + 1)[first :: keys.size]
    if keys.unique or not found:
        return found
    fresh = _distinct(key_range.lower, found)
    return fresh or keys.find([key_range._replace(after=True)], limit=1)


def _distinct(before: Element | None, bounds: Sequence[Element]) -> list[Element]:
    """Yield ``bounds`` without those that repeat the one before."""
    distinct: list[Element] = []
    for bound in bounds:
        if bound != before:
            distinct.append(bound)
        before = bound
    return distinct


def sample(keys: CollectionKeys, pair: int, last: Slice | None) -> Iterator[SizedSlice]:
    """Yield slices of about ``keys.size`` documents between random keys, without a walk."""
    if not keys.source.capabilities.sample:
        raise UsageError(
            "this server's $sample returns documents more than once",
            "Leave --partitioner out, or use --partitioner objectid-time",
        )
    if last is not None and last.upper is None:
        return
    documents = keys.estimated_count()
    wanted = -(-documents // keys.size)
    lower = last.upper if last else None
    drawn: list[Element] = []
    if wanted > 1:
        size = min(_SAMPLES_PER_SLICE * wanted, _MOST_SAMPLES)
        drawn = keys.sample(size, list(key_ranges_between(lower, None, keys.field)))
        step = max(1, size // wanted)
        drawn = drawn[step - 1 :: step]
    bounds = _distinct(lower, drawn)
    each = min(keys.size, documents)
    yield from _ranges(pair, lower, ((bound, each) for bound in [*bounds, _OPEN]))


def object_id_time(keys: CollectionKeys, pair: int, last: Slice | None) -> Iterator[SizedSlice]:
    """ObjectIds by their time, strings by a walk, then everything else in one slice.

    Every query stays within one type, so nothing depends on the server's order of types.
    """
    if not keys.unique:
        raise UsageError(
            "slices by ObjectId time need _id as the resume field",
            "Use --partitioner walk with this strategy",
        )
    phase, lower = _phase_after(last)
    if phase is _Phase.OBJECT_IDS:
        yield from _ranges(pair, lower, _time_bounds(keys, lower), SliceKind.ONE_TYPE)
        phase, lower = _Phase.STRINGS, _LOWEST_STRING
    if phase is _Phase.STRINGS:
        strings = KeyRange(bracket_of_type(STRING), lower, only_type=STRING)
        yield from _ranges(pair, lower, _walk_bounds(keys, iter([strings])), SliceKind.ONE_TYPE)
        phase = _Phase.OTHER_TYPES
    if phase is _Phase.OTHER_TYPES:
        yield SizedSlice(Slice(pair, kind=SliceKind.OTHER_TYPES), 0)


class _Phase(Enum):
    """The parts that ``object_id_time`` cuts, in this order."""

    OBJECT_IDS = auto()
    STRINGS = auto()
    OTHER_TYPES = auto()
    DONE = auto()


def _phase_after(last: Slice | None) -> tuple[_Phase, Element | None]:
    """Return what to cut after the slice ``last``, and the key to begin at."""
    if last is None:
        return _Phase.OBJECT_IDS, None
    if last.kind is SliceKind.OTHER_TYPES:
        return _Phase.DONE, None
    if last.lower is not None and last.lower.type == STRING:
        phase = _Phase.STRINGS if last.upper is not None else _Phase.OTHER_TYPES
        return phase, last.upper
    if last.upper is not None:
        return _Phase.OBJECT_IDS, last.upper
    return _Phase.STRINGS, _LOWEST_STRING


def _time_bounds(keys: CollectionKeys, lower: Element | None) -> Bounds:
    """Halve the rest until each part has at most twice the documents wanted."""
    everything = KeyRange(bracket_of_type(OBJECT_ID), lower, only_type=OBJECT_ID)
    ends = [keys.find([everything], limit=1, direction=direction) for direction in (1, -1)]
    if not all(ends):
        yield _OPEN, 0
        return
    first, final = (_number(found[0]) for found in ends)
    waiting = 0
    parts = [(first, final + 1)]
    while parts:
        start, stop = parts.pop()
        documents = keys.count(_between(start, stop))
        count = min(-(-documents // keys.size), stop - start)
        if documents > 2 * keys.size and count > 1:
            step = (stop - start) // count
            cuts = [start + step * number for number in range(count)] + [stop]
            parts += reversed(list(pairwise(cuts)))
            continue
        waiting += documents
        if parts and waiting:
            yield _object_id(stop), waiting
            waiting = 0
    yield _OPEN, waiting


def _between(start: int, stop: int) -> KeyRange:
    upper = _object_id(stop) if stop < 1 << 96 else None
    bracket = bracket_of_type(OBJECT_ID)
    return KeyRange(bracket, _object_id(start), upper, only_type=OBJECT_ID)


def _number(key: Element) -> int:
    return int.from_bytes(key.value, "big")


def _object_id(number: int) -> Element:
    return Element(OBJECT_ID, b"", number.to_bytes(12, "big"))


PARTITIONERS: dict[str, Callable[[CollectionKeys, int, Slice | None], Iterator[SizedSlice]]] = {
    Partitioner.WALK: walk,
    Partitioner.SAMPLE: sample,
    Partitioner.OBJECT_ID_TIME: object_id_time,
}
