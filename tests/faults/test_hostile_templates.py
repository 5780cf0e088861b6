"""Expressions and patterns from anywhere: refused or harmless, within bounds of time and memory."""

from __future__ import annotations

import time

import pytest
from bson import decode
from hypothesis import given, settings
from hypothesis import strategies as st

from dataworks_tasks.errors import TemplateError
from dataworks_tasks.generate.templates.load_template import document_source, parse_template

MOST_BYTES = 1_000_000
MOST_SECONDS = 2.0
PIECES = st.sampled_from(
    [
        "a",
        "b",
        "n",
        "(",
        ")",
        "+",
        "*",
        "**",
        "/",
        "%",
        "<",
        "==",
        "and",
        "not",
        ",",
        ".",
        "'x'",
        "9e999",
        "0",
        "1",
        "-1",
        "len",
        "concat",
        "sum",
        "round",
        "__class__",
        "__import__",
        "lambda",
        "[",
        "]",
        "{",
        "}",
        "{9}",
        "{1,4096}",
        "|",
        "\\d",
        "\\w",
        "[a-z]",
        "?",
        "^",
        "$",
        "(?=",
        "\\1",
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map(" ".join) | st.lists(PIECES, max_size=30).map("".join)


def try_to_generate(field: dict[str, object]) -> None:
    """Fifty documents, or a TemplateError."""
    schema = {"n": {"type": "integer", "min": 0, "max": 9}, "a": {"type": "string"}, "b": field}
    template = {"name": "hostile", "version": "1.0", "schema": schema}
    begun = time.monotonic()
    try:
        source = document_source(parse_template(template, "hostile"), 0, 7)
    except TemplateError:
        return
    assert len(source.generate(0, 50).data) < MOST_BYTES
    assert time.monotonic() - begun < MOST_SECONDS


@settings(max_examples=200, deadline=None)
@given(TEXTS | st.text(max_size=60))
def test_any_expression(text: str) -> None:
    try_to_generate({"type": "expr", "expr": text})


@settings(max_examples=200, deadline=None)
@given(TEXTS | st.text(max_size=60))
def test_any_pattern(text: str) -> None:
    try_to_generate({"type": "pattern", "pattern": text})


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "n.__class__.__mro__",
        "(lambda: n)()",
        "[x for x in n]",
        "9**9**9**9",
        "(" * 5000,
        "n+" * 5000 + "n",
        "concat(" * 30 + "a" + ",a,a,a)" * 30,
    ],
)
def test_code_is_never_run_and_nothing_grows(text: str) -> None:
    try_to_generate({"type": "expr", "expr": text})


@pytest.mark.parametrize(
    "text", ["(a{4096}){4096}", "(((((a*)*)*)*)*)*", "[a-", "(" * 600, "a{9999999999}"]
)
def test_patterns_have_bounds(text: str) -> None:
    try_to_generate({"type": "pattern", "pattern": text})


def test_the_harmless_ones_do_make_documents() -> None:
    """The keys above are the right ones: what is well-formed is used."""
    fields = {
        "n": {"type": "integer", "min": 3, "max": 3},
        "b": {"type": "expr", "expr": "n + 1"},
        "c": {"type": "pattern", "pattern": "x[y]{3}z"},
    }
    template = parse_template({"name": "x", "version": "1.0", "schema": fields}, "x")
    document = decode(document_source(template, 0, 7).generate(0, 1).document(0))
    assert (document["b"], document["c"]) == (4, "xyyyz")
