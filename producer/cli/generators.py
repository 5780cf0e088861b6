"""``dataworks generators``."""

from __future__ import annotations

import click

from producer.cli.shared.options import CommandContext, with_context


@click.command("generators")
@with_context
def command(context: CommandContext) -> None:
    """List the custom generators from FRAMEWORK_PLUGINS and installed packages."""
    from dataworks_tasks.generate.custom.factory import GeneratorFactory

    names = GeneratorFactory(context.config().plugins).names()
    if context.as_json:
        context.print_rows({"generator": name} for name in names)
    elif not names:
        click.echo("No custom generators. Name their modules or files in FRAMEWORK_PLUGINS")
    for name in () if context.as_json else names:
        click.echo(name)
