"""The examples of docs/templates.md, and documents made from them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson

from dataworks_tasks.generate.templates.load_template import document_source, parse_template
from dataworks_tasks.generate.templates.template import Template

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTATION = ROOT / "docs" / "templates.md"
_SECTION = re.compile(
    r"^(?:##+ (?P<title>[^\n]+)|```json\n(?P<block>.*?)^```)", re.DOTALL | re.MULTILINE
)


def examples() -> Iterator[tuple[str, Any]]:
    """Every JSON block with its heading."""
    title, number = "", 0
    for match in _SECTION.finditer(DOCUMENTATION.read_text(encoding="utf-8")):
        if match["title"]:
            title, number = match["title"].replace("`", ""), 0
        else:
            number += 1
            yield f"{title} {number}" if number > 1 else title, json.loads(match["block"])


def template_of(example: Any) -> Template:
    """Return a template from an example: a whole one, or only the fields."""
    whole = isinstance(example, list) or {"content", "schema"} & set(example)
    return parse_template(example if whole else {"content": example}, "example")


def digest(template: Template, count: int = 1000, seed: int = 7) -> str:
    """Return a hash of the first documents of every collection."""
    state = hashlib.sha256()
    for position in range(len(template.collections)):
        state.update(document_source(template, position, seed).generate(0, count).data)
    return state.hexdigest()[:32]


def documents(content: dict[str, Any], count: int = 300, seed: int = 7) -> list[dict[str, Any]]:
    """Return decoded documents with these fields."""
    template = parse_template({"content": content}, "test")
    return bson.decode_all(document_source(template, 0, seed).generate(0, count).data)
