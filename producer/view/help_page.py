"""A page of the documentation as plain text, for ``dataworks help`` in a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator

_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_BORDER = re.compile(r"(?<= )\|(?= )")
_ITEM = re.compile(r"(- |\d+\. )")
_INDENT = "    "


def shown_page(page: str, topics: Collection[str], width: int) -> str:
    """Return Markdown as text of at most ``width`` columns, as far as commands allow.

    Links to other ``topics`` become the command that prints them. Pictures, the marks of the tests
    that run the examples, and outputs that leave something out are omitted.
    """
    blocks = [_shown(block, topics, width) for block in _blocks(_COMMENT.sub("", page))]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _blocks(page: str) -> Iterator[list[str]]:
    """Yield paragraphs, lists, tables, headings and fenced blocks."""
    block: list[str] = []
    is_fenced = False
    for line in page.splitlines():
        starts_or_ends = line.startswith("```")
        if block and not is_fenced and (not line.strip() or starts_or_ends):
            yield block
            block = []
        if line.strip() or is_fenced:
            block.append(line)
        if starts_or_ends:
            is_fenced = not is_fenced
            if not is_fenced:
                yield block
                block = []
    if block:
        yield block


def _shown(block: list[str], topics: Collection[str], width: int) -> str:
    first = block[0]
    if first.startswith("```"):
        return "\n".join(_INDENT + line for line in _commands(block[1:-1], first))
    if first.startswith("!["):
        return ""
    if first.startswith("|"):
        return "\n".join(_table(block, topics, width))
    if first.startswith("#"):
        title = first.lstrip("# ")
        return f"{title}\n{('=' if first.startswith('# ') else '-') * len(title)}"
    return "\n".join(_prose(block, topics, width))


def _commands(lines: list[str], fence: str) -> Iterator[str]:
    """Yield the lines of an example, without outputs that are shown in part only."""
    is_continued = False
    for line in lines:
        is_command = is_continued or line.startswith("$ ") or "console" not in fence
        if is_command or "..." not in line:
            yield line
        is_continued = is_command and line.endswith("\\")


def _table(block: list[str], topics: Collection[str], width: int) -> Iterator[str]:
    """Yield each row with its first cell as a heading; the others follow, named if several."""
    names, _, *rows = ([cell.strip() for cell in _BORDER.split(line[1:-1])] for line in block)
    for heading, *cells in rows:
        yield from _filled(_plain(heading, topics), width, "", "  ")
        for name, cell in zip(names[-len(cells) :], cells, strict=True):
            text = f"{name}{'' if name.endswith('?') else ':'} {cell}" if len(cells) > 1 else cell
            yield from _filled(_plain(text, topics), width, _INDENT, _INDENT)


def _prose(block: list[str], topics: Collection[str], width: int) -> Iterator[str]:
    items: list[list[str]] = []
    for line in block:
        if not items or _ITEM.match(line):
            items.append([])
        items[-1].append(line.strip())
    for item in items:
        mark = _ITEM.match(item[0])
        hanging = " " * len(mark[0]) if mark else ""
        yield from _filled(_plain(" ".join(item), topics), width, "", hanging)


def _plain(text: str, topics: Collection[str]) -> str:
    def link(found: re.Match[str]) -> str:
        name = found[2].removesuffix(".md")
        return f"{found[1]} (dataworks help {name})" if name in topics else found[1]

    return _LINK.sub(link, text).replace("**", "")


def _filled(text: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
