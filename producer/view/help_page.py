"""A page of the documentation as text for a terminal, for ``dataworks help``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from io import StringIO
from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.text import Text

_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)\n?")
_BLANK_LINES = re.compile(r"\n{3,}")
_INDENT = "    "


class _Example(CodeBlock):
    """A fenced block as it is written: commands that were wrapped could not be pasted."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = str(self.text).rstrip().splitlines()
        for line in _shown_in_full(lines) if self.lexer_name == "console" else lines:
            yield Text(_INDENT + line, no_wrap=True, overflow="ignore")


class _Heading(Heading):
    """A heading at the left margin, underlined."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        title = self.text.plain
        yield Text(f"{title}\n{('=' if self.tag == 'h1' else '-') * len(title)}")


class _Page(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Example,
        "heading_open": _Heading,
    }


def shown_page(page: str, topics: Collection[str], width: int) -> str:
    """Return Markdown as text of at most ``width`` columns; examples keep their lines.

    Links to other ``topics`` become the command that prints them. Pictures, the marks of the tests
    that run the examples, and outputs that leave something out are omitted.
    """

    def link(found: re.Match[str]) -> str:
        name = found[2].removesuffix(".md")
        return f"{found[1]} (`dataworks help {name}`)" if name in topics else found[1]

    text = _LINK.sub(link, _PICTURE.sub("", page))
    console = Console(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as shown:
        console.print(_Page(text), crop=False)
    lines = "\n".join(line.rstrip() for line in shown.get().splitlines())
    return _BLANK_LINES.sub("\n\n", lines).strip("\n") + "\n"


def _shown_in_full(lines: Sequence[str]) -> Iterator[str]:
    """Yield the commands of an example, and the outputs that leave nothing out."""
    is_continued = False
    for line in lines:
        is_command = is_continued or line.startswith("$ ")
        if is_command or "..." not in line:
            yield line
        is_continued = is_command and line.endswith("\\")
