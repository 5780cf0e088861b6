"""``dataworks help``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from dataworks_tasks.errors import UnknownName
from producer.cli.shared.terminal_lines import broken

_PACKAGE = Path(__file__).parents[1]
_WIDEST = 100
"""Longer lines are hard to read, however wide the terminal is."""


def complete_topics(
    context: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the topics, and the commands."""
    group = context.find_root().command
    commands = group.list_commands(context) if isinstance(group, click.Group) else []
    found = [name for name in (*topics(), *commands) if name.startswith(incomplete)]
    return [CompletionItem(name) for name in found]


@click.command("help")
@click.argument("topic", metavar="[TOPIC]", required=False, shell_complete=complete_topics)
def command(topic: str | None) -> None:
    """Print the page about TOPIC, or list the topics.

    TOPIC may also be a command: then its flags are printed, as with dataworks COMMAND --help.
    """
    pages = topics()
    if topic is None:
        click.echo("Topics, for `dataworks help TOPIC`:\n")
        for name, path in pages.items():
            click.echo(broken(f"  {name:<20} {_title(path)}", sys.stdout, indent=23))
        click.echo("\nEvery flag of a command: dataworks COMMAND --help")
        return
    if topic in pages:
        from producer.view.help_page import shown_page

        width = min(_WIDEST, shutil.get_terminal_size().columns)
        text = pages[topic].read_text(encoding="utf-8")
        click.echo_via_pager(shown_page(text, pages, width))
        return
    root = click.get_current_context().find_root()
    of_command = (
        root.command.get_command(root, topic) if isinstance(root.command, click.Group) else None
    )
    if of_command is None:
        raise UnknownName.among("topic", topic, pages)
    click.echo(of_command.get_help(click.Context(of_command, info_name=topic, parent=root)))


def topics() -> dict[str, Path]:
    """Return the pages by topic, from the package or the checkout that it runs in."""
    folders = (_PACKAGE / "questions", _PACKAGE.parent / "docs" / "questions")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.md"))}


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as page:
        return page.readline().lstrip("# ").strip()
