"""``pattern``: text that a regular expression matches, by column."""

from __future__ import annotations

from math import prod

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Arena, Positions
from dataworks_tasks.generate.batch.counter_hash import Bits
from dataworks_tasks.generate.batch.permutation import permute
from dataworks_tasks.generate.batch.rows import Rows
from dataworks_tasks.generate.batch.segments import Choice, Constant, Fixed, Gather, Layout, Segment
from dataworks_tasks.generate.batch.values import Text
from dataworks_tasks.generate.fields.model import Column
from dataworks_tasks.generate.fields.pattern_syntax import (
    Letters,
    Part,
    PatternError,
    PatternGroup,
    Repeat,
    parse_pattern,
)
from dataworks_tasks.generate.fields.registry import column_type
from dataworks_tasks.generate.fields.template_node import TemplateNode
from dataworks_tasks.generate.fields.text_column import TextColumn
from dataworks_tasks.generate.fields.variety import Variety


class PatternColumn(TextColumn):
    """Draws every part by itself, from the row's key and the part's place in the pattern."""

    def __init__(self, path: str, group: PatternGroup) -> None:
        self._path = path
        self._group = group
        self._salts: dict[str, np.uint64] = {}

    def text(self, rows: Rows) -> Text:
        segments = self._group_segments(self._group, rows.keys, "")
        return Text(_joined(segments), len(rows))

    def variety(self) -> Variety | None:
        return Variety(_same(self._group))

    def _bits(self, keys: Bits, place: str) -> Bits:
        if place not in self._salts:
            self._salts[place] = counter_hash.salt(self._path, place)
        return counter_hash.draw(keys, self._salts[place])

    def _segments(self, part: Part, keys: Bits, place: str) -> list[Segment]:
        if isinstance(part, Letters) and len(part.letters) == 1:
            return [Constant(part.letters.encode())]
        if isinstance(part, Letters):
            bits = self._bits(keys, place)
            return [_pick(part.letters, counter_hash.below(bits, len(part.letters)))]
        if isinstance(part, PatternGroup):
            return self._group_segments(part, keys, place)
        if part.least == part.most:
            return self._times(part.part, part.least, keys, place)
        span = part.most - part.least + 1
        counts = counter_hash.below(self._bits(keys, f"{place}#"), span) + part.least
        groups = []
        for times in range(part.least, part.most + 1):
            rows = np.flatnonzero(counts == times)
            if len(rows) and times:
                segments = self._times(part.part, times, keys[rows], place)
                groups.append((rows, Layout(_joined(segments))))
        return [Choice(len(keys), groups)]

    def _times(self, part: Part, times: int, keys: Bits, place: str) -> list[Segment]:
        return [
            segment
            for number in range(times)
            for segment in self._segments(part, keys, f"{place}*{number}")
        ]

    def _group_segments(self, group: PatternGroup, keys: Bits, place: str) -> list[Segment]:
        if len(group.variants) == 1:
            return self._sequence(group.variants[0], keys, place)
        choice = counter_hash.below(self._bits(keys, f"{place}|"), len(group.variants))
        groups = []
        for number, variant in enumerate(group.variants):
            rows = np.flatnonzero(choice == number)
            if len(rows):
                segments = self._sequence(variant, keys[rows], f"{place}|{number}")
                groups.append((rows, Layout(_joined(segments))))
        return [Choice(len(keys), groups)]

    def _sequence(self, parts: tuple[Part, ...], keys: Bits, place: str) -> list[Segment]:
        return [
            segment
            for number, part in enumerate(parts)
            for segment in self._segments(part, keys, f"{place}.{number}")
        ]


def _same(part: Part) -> float:
    """Return how likely two texts of a part are equal, counted by how they were drawn."""
    if isinstance(part, Letters):
        return 1 / len(part.letters)
    if isinstance(part, Repeat):
        one = _same(part.part)
        lengths = range(part.least, part.most + 1)
        return float(sum(one**length for length in lengths) / len(lengths) ** 2)
    variants = [prod(_same(entry) for entry in variant) for variant in part.variants]
    return sum(variants) / len(variants) ** 2


def _pick(letters: str, numbers: Positions) -> Segment:
    if letters.isascii():
        return Fixed(np.frombuffer(letters.encode(), np.uint8)[numbers])
    return Gather(Arena(letter.encode() for letter in letters), numbers)


def _joined(segments: list[Segment]) -> list[Segment]:
    """Neighboring single characters as one column: one write instead of many."""
    joined: list[Segment] = []
    run: list[Segment] = []
    for segment in [*segments, None]:
        if isinstance(segment, Fixed | Constant):
            run.append(segment)
            continue
        joined += _join(run)
        run = []
        if segment is not None:
            joined.append(segment)
    return joined


def _join(run: list[Segment]) -> list[Segment]:
    columns = [segment.column for segment in run if isinstance(segment, Fixed)]
    if len(columns) < 2:
        return run
    width = sum(segment.least for segment in run)
    block = np.empty((len(columns[0]), width), np.uint8)
    at = 0
    for segment in run:
        if isinstance(segment, Fixed):
            block[:, at] = segment.column
        elif isinstance(segment, Constant):
            block[:, at : at + segment.least] = np.frombuffer(segment.data, np.uint8)
        at += segment.least
    return [Fixed(block.view(f"V{width}").ravel())]


class UniquePatternColumn(TextColumn):
    """A fixed number of characters, every text at most once: a permutation of the ordinal."""

    unique = True

    def __init__(self, path: str, alphabets: list[str]) -> None:
        self._alphabets = alphabets
        self._count = prod(len(letters) for letters in alphabets)
        self._salt = counter_hash.salt(path)

    def text(self, rows: Rows) -> Text:
        limit = min(self._count, 1 << 63)
        rest = permute(rows.ordinals, limit, self._salt, rows.seed).view(np.uint64)
        segments: list[Segment] = []
        for letters in reversed(self._alphabets):
            base = np.uint64(len(letters))
            shorter = rest // base
            segments.append(_pick(letters, (rest - shorter * base).view(np.int64)))
            rest = shorter
        return Text(_joined(segments[::-1]), len(rows))

    def capacity(self) -> int:
        return self._count


def read_unique_pattern(node: TemplateNode, group: PatternGroup) -> Column:
    """Read a column of distinct texts that ``group`` matches; its length must be fixed."""
    alphabets = _alphabets(group)
    if alphabets is None:
        node.refuse("pattern", "a unique one needs a fixed length: no |, ?, *, + or {m,n}")
        alphabets = ["ab"]
    return UniquePatternColumn(node.path, alphabets)


def _alphabets(part: Part) -> list[str] | None:
    if isinstance(part, Letters):
        return [part.letters]
    if isinstance(part, Repeat):
        inner = _alphabets(part.part)
        return inner * part.least if inner is not None and part.least == part.most else None
    if len(part.variants) != 1:
        return None
    alphabets: list[str] = []
    for entry in part.variants[0]:
        inner = _alphabets(entry)
        if inner is None:
            return None
        alphabets += inner
    return alphabets


def parse_or_refuse(node: TemplateNode) -> PatternGroup:
    """Parse the pattern under ``pattern``; report an invalid one as a finding."""
    try:
        return parse_pattern(node.text("pattern", ""))
    except PatternError as error:
        node.refuse("pattern", str(error))
        return PatternGroup(((),))


@column_type("pattern")
def read_pattern(node: TemplateNode) -> Column:
    """Type pattern: pattern, unique."""
    if not node.has("pattern"):
        node.refuse("pattern", "is missing")
    group = parse_or_refuse(node)
    if node.flag("unique", False):
        return read_unique_pattern(node, group)
    return PatternColumn(node.path, group)
