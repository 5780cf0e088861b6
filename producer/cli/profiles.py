"""``dataworks profiles``."""

from __future__ import annotations

import sys

import click

from dataworks_tasks.errors import UnknownName
from producer.cli.shared.completion import complete_profiles
from producer.cli.shared.options import CommandContext, with_context
from producer.cli.shared.terminal_lines import broken


@click.command("profiles")
@click.argument("name", required=False, shell_complete=complete_profiles)
@with_context
def command(context: CommandContext, name: str | None) -> None:
    """List the profiles, or show the one called NAME with the reason for every line."""
    from dataworks_tasks.settings.env_files import profile_paths

    paths = profile_paths()
    if name is None:
        for profile, path in sorted(paths.items()):
            about = path.read_text().splitlines()[0].lstrip("# ")
            if context.as_json:
                context.print_json({"profile": profile, "about": about})
            else:
                click.echo(broken(f"{profile:<16} {about}", sys.stdout, indent=17))
        return
    if name not in paths:
        raise UnknownName.among("profile", name, paths)
    text = paths[name].read_text()
    if context.as_json:
        context.print_json({"profile": name, "text": text})
    else:
        click.echo(text, nl=False)
