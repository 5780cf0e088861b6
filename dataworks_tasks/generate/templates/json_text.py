"""JSON as people write it: with comments, and errors that name line and column."""

from __future__ import annotations

import json
import re

from dataworks_tasks.errors import Finding, TemplateError

_COMMENT_OR_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/|#[^\n]*', re.DOTALL)
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""A surrogate: the escape of a character beyond U+FFFF is a pair of them."""


class DuplicateKey(ValueError):
    """An object has the same key twice, in upper or lower case."""


def parse_json(text: str, source: str) -> object:
    """Parse JSON with ``//``, ``#`` and ``/* */`` comments.

    Raises TemplateError with the line and column of a syntax error.
    """
    bare = _COMMENT_OR_STRING.sub(_blank_comment, text)
    try:
        value = json.loads(bare, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
        _refuse_half_characters(value)
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise TemplateError(source, [Finding("", problem)]) from error
    except (ValueError, RecursionError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise TemplateError(source, [Finding("", problem)]) from error
    return value


def _refuse_half_characters(value: object) -> None:
    half = _HALF_CHARACTER.search(json.dumps(value, ensure_ascii=False))
    if half is not None:
        raise ValueError(
            f"\\u{ord(half[0]):04x} is half of a character: write both halves, or the character"
        )


def _blank_comment(match: re.Match[str]) -> str:
    found = match.group()
    if found.startswith('"'):
        return found
    return "".join("\n" if letter == "\n" else " " for letter in found)


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for key, value in pairs:
        if key in members:
            raise DuplicateKey(f"the key {key!r} is given twice in one object")
        members[key] = value
    return members


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
