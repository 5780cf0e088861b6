"""The syntax of ``expr`` and ``when``: text into a tree. Nothing is ever evaluated by Python.

or   = and { ("or" | "||") and }            and  = not { ("and" | "&&") not }
not  = ("not" | "!") not | compared         compared = sum [ (== != < <= > >=) sum ]
sum  = product { (+ | -) product }          product  = sign { (* | / | %) sign }
sign = "-" sign | number | 3d | 'text' | true | false | name(args) | path | "(" or ")"
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from dataworks_tasks.generate.fields.durations import PATTERN as DURATION
from dataworks_tasks.generate.fields.durations import milliseconds_of

MAX_LENGTH = 2_000
MAX_NODES = 400
MAX_DEPTH = 40

_TOKEN = re.compile(
    rf"\s*(?:(?P<duration>{DURATION}(?![\w.]))"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<name>[^\W\d]\w*(?:\.\w+)*)"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/%()<>,!]))"
)
_SPELLINGS = {"&&": "and", "||": "or", "!": "not"}
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


class ExpressionError(ValueError):
    """An expression cannot be read; the text says what and where."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, true or false."""

    value: float | int | str | bool


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time like ``1h30m``."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Name:
    """A field by its path."""

    path: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function with its arguments."""

    function: str
    arguments: tuple[Node, ...]


Node = Literal | Duration | Name | Call


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


def parse_expression(text: str) -> Node:
    """Parse ``text`` into a tree. Raises ExpressionError with the column of the error."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"is longer than {MAX_LENGTH} characters")
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[_Token]:
    tokens, position, text = [], 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            shown = text[position:].lstrip()
            column = len(text) - len(shown) + 1
            raise ExpressionError(f"cannot read {shown[:12]!r} at column {column}")
        kind = str(match.lastgroup)
        word = match.group(kind)
        tokens.append(_Token(kind, _SPELLINGS.get(word, word), match.start(kind) + 1))
        position = match.end()
    tokens.append(_Token("end", "end", len(text) + 1))
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._nodes = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._any()
        if self._token.kind != "end":
            raise self._unexpected()
        return node

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _unexpected(self) -> ExpressionError:
        return ExpressionError(f"unexpected {self._token.text} at column {self._token.column}")

    def _accept(self, *words: str) -> str:
        token = self._token
        if token.kind in {"sign", "name"} and token.text in words:
            self._next += 1
            return token.text
        return ""

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise ExpressionError(
                f"expected {word!r}, found {self._token.text} at column {self._token.column}"
            )

    def _call(self, function: str, *arguments: Node) -> Call:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ExpressionError(f"has more than {MAX_NODES} operations")
        return Call(function, arguments)

    def _chain(self, below: Callable[[], Node], *operators: str) -> Node:
        node = below()
        while operator := self._accept(*operators):
            node = self._call(operator, node, below())
        return node

    def _any(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"is nested deeper than {MAX_DEPTH}")
        node = self._chain(self._all, "or")
        self._depth -= 1
        return node

    def _all(self) -> Node:
        return self._chain(self._not, "and")

    def _not(self) -> Node:
        negations = 0
        while self._accept("not"):
            negations += 1
        node = self._compared()
        return self._call("not", node) if negations % 2 else node

    def _compared(self) -> Node:
        node = self._sum()
        if operator := self._accept(*_COMPARISONS):
            return self._call(operator, node, self._sum())
        return node

    def _sum(self) -> Node:
        return self._chain(self._product, "+", "-")

    def _product(self) -> Node:
        return self._chain(self._signed, "*", "/", "%")

    def _signed(self) -> Node:
        negations = 0
        while self._accept("-"):
            negations += 1
        node = self._primary()
        if not negations % 2:
            return node
        if isinstance(node, Literal) and type(node.value) in {int, float}:
            return Literal(-node.value)  # type: ignore[operator]
        return self._call("negative", node)

    def _primary(self) -> Node:
        token = self._token
        self._next += 1
        if token.kind == "number":
            return Literal(int(token.text) if token.text.isdigit() else float(token.text))
        if token.kind == "duration":
            milliseconds = milliseconds_of(token.text)
            if milliseconds is None:
                raise ExpressionError(f"the duration {token.text} is too long")
            return Duration(milliseconds)
        if token.kind == "text":
            return Literal(re.sub(r"\\(.)", r"\1", token.text[1:-1]))
        if token.kind == "name":
            return self._named(token.text)
        if token.text == "(" and token.kind == "sign":
            node = self._any()
            self._expect(")")
            return node
        self._next -= 1
        raise self._unexpected()

    def _named(self, name: str) -> Node:
        if name in {"true", "false"}:
            return Literal(name == "true")
        if not self._accept("("):
            return Name(name)
        arguments: list[Node] = []
        while not self._accept(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._any())
        return self._call(name, *arguments)
