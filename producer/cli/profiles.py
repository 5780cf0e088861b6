"""``dataworks profiles``."""

from __future__ import annotations

import click

from dataworks_tasks.errors import UnknownName
from producer.cli.shared.completion import complete_profiles
from producer.cli.shared.name_list import print_names
from producer.cli.shared.options import CommandContext, with_context


@click.command("profiles")
@click.argument("name", required=False, shell_complete=complete_profiles)
@with_context
def command(context: CommandContext, name: str | None) -> None:
    """List the profiles, or show the one called NAME with the reason for every line."""
    from dataworks_tasks.settings.env_files import profile_paths

    paths = profile_paths()
    if name is None:
        first = {name: path.read_text().partition("\n")[0] for name, path in paths.items()}
        print_names(context, "profile", {one: first[one].lstrip("# ") for one in sorted(first)})
        return
    if name not in paths:
        raise UnknownName.among("profile", name, paths)
    text = paths[name].read_text()
    if context.as_json:
        context.print_json({"profile": name, "text": text})
    else:
        click.echo(text, nl=False)
