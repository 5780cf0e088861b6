r"""The subset of regular expressions that ``pattern`` makes text from.

Literals, ``\`` escapes, ``\d \w \s``, classes like ``[A-Z0-9_]`` and ``[^a-z]`` (of printable
ASCII), ``.``, groups with alternatives ``(ab|cd)``, and the quantifiers ``? * + {n} {m,n}``; ``*``
and ``+`` stop at eight.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_letters, digits, printable

MAX_LENGTH = 500
MAX_TEXT = 4_096
MAX_DEPTH = 10
_OPEN_ENDED = 8
_PRINTABLE = "".join(letter for letter in printable if letter == " " or not letter.isspace())
_CLASSES = {"d": digits, "w": ascii_letters + digits + "_", "s": " "}
_SPECIAL = frozenset("()[]{}?*+|")


class PatternError(ValueError):
    """A pattern cannot be read; the text says what and where."""


@dataclass(frozen=True, slots=True)
class Letters:
    """One of some characters; a literal has one."""

    letters: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part between ``least`` and ``most`` times."""

    part: Part
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class PatternGroup:
    """One of some sequences."""

    variants: tuple[tuple[Part, ...], ...]


Part = Letters | Repeat | PatternGroup


def parse_pattern(text: str) -> PatternGroup:
    """Parse ``text`` into its parts. Raises PatternError."""
    if len(text) > MAX_LENGTH:
        raise PatternError(f"is longer than {MAX_LENGTH} characters")
    parser = _Parser(text.removeprefix("^").removesuffix("$"))
    group = parser.group(0)
    if parser.rest:
        raise PatternError(f"unexpected {parser.rest[0]!r}")
    if longest(group) > MAX_TEXT:
        raise PatternError(f"can make more than {MAX_TEXT} characters")
    return group


def longest(part: Part) -> int:
    """Return the most characters that a part can produce."""
    if isinstance(part, Letters):
        return 1
    if isinstance(part, Repeat):
        return part.most * longest(part.part)
    return max(sum(longest(inner) for inner in variant) for variant in part.variants)


class _Parser:
    def __init__(self, text: str) -> None:
        self.rest = text

    def group(self, depth: int) -> PatternGroup:
        if depth > MAX_DEPTH:
            raise PatternError(f"is nested deeper than {MAX_DEPTH}")
        variants: list[tuple[Part, ...]] = []
        parts: list[Part] = []
        while self.rest and self.rest[0] != ")":
            if self.rest[0] == "|":
                self.rest = self.rest[1:]
                variants.append(tuple(parts))
                parts = []
            else:
                parts.append(self._quantified(self._atom(depth)))
        return PatternGroup((*variants, tuple(parts)))

    def _take(self) -> str:
        if not self.rest:
            raise PatternError("ends too early")
        letter, self.rest = self.rest[0], self.rest[1:]
        return letter

    def _atom(self, depth: int) -> Part:
        letter = self._take()
        if letter == "(":
            self.rest = self.rest.removeprefix("?:")
            group = self.group(depth + 1)
            if self._take() != ")":
                raise PatternError("a group is not closed")
            return group
        if letter == "[":
            return self._class()
        if letter == "\\":
            return Letters(self._escaped())
        if letter == ".":
            return Letters(_PRINTABLE)
        if letter in _SPECIAL:
            raise PatternError(f"unexpected {letter!r}")
        return Letters(letter)

    def _escaped(self) -> str:
        letter = self._take()
        if letter in _CLASSES:
            return _CLASSES[letter]
        if letter.isalnum():
            raise PatternError(f"\\{letter} is not supported; known: \\d \\w \\s")
        return letter

    def _class(self) -> Letters:
        negated = self.rest.startswith("^")
        self.rest = self.rest.removeprefix("^")
        letters = ""
        while (letter := self._take()) != "]" or not letters:
            found = self._escaped() if letter == "\\" else letter
            if self.rest.startswith("-") and self.rest[1:2] not in {"]", ""} and len(found) == 1:
                self._take()
                found = _range(found, self._take())
            letters += found
        if negated:
            letters = "".join(letter for letter in _PRINTABLE if letter not in letters)
        unique = "".join(dict.fromkeys(letters))
        if not unique:
            raise PatternError("a class has no characters")
        return Letters(unique)

    def _quantified(self, part: Part) -> Part:
        sign = self.rest[:1]
        if sign not in {"?", "*", "+", "{"}:
            return part
        self._take()
        if sign != "{":
            least, most = {"?": (0, 1), "*": (0, _OPEN_ENDED), "+": (1, _OPEN_ENDED)}[sign]
            return Repeat(part, least, most)
        text, closed, self.rest = self.rest.partition("}")
        first, comma, second = text.partition(",")
        if not closed or not first.isdigit() or (second and not second.isdigit()):
            raise PatternError(f"cannot read the quantifier {{{text}}}")
        least = int(first)
        most = int(second) if second else least + (_OPEN_ENDED if comma else 0)
        if not least <= most <= MAX_TEXT:
            raise PatternError(f"the quantifier {{{text}}} is too large, or its bounds are swapped")
        return Repeat(part, least, most)


def _range(first: str, last: str) -> str:
    if ord(last) < ord(first) or ord(last) - ord(first) > 1000:
        raise PatternError(f"the range {first}-{last} is empty or too wide")
    return "".join(chr(code) for code in range(ord(first), ord(last) + 1))
