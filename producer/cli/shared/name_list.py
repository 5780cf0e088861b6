"""The lists of names that commands print: templates, profiles, generators and strategies."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from producer.cli.shared.options import CommandContext
from producer.cli.shared.terminal_lines import broken

_LEAST_WIDTH = 16


def print_names(context: CommandContext, kind: str, names: Mapping[str, str]) -> None:
    """Print each name with its description, which may be empty; the JSON field is ``kind``."""
    if context.as_json:
        context.print_rows({kind: name, "about": about} for name, about in names.items())
        return
    width = max([_LEAST_WIDTH, *map(len, names)])
    for name, about in names.items():
        line = f"{name:<{width}} {about}".rstrip()
        click.echo(broken(line, sys.stdout, indent=width + 1))
