"""``dataworks generators``."""

from __future__ import annotations

import click

from producer.cli.shared.name_list import print_names
from producer.cli.shared.options import CommandContext, with_context


@click.command("generators")
@with_context
def command(context: CommandContext) -> None:
    """List the custom generators from FRAMEWORK_PLUGINS and installed packages."""
    from dataworks_tasks.generate.custom.factory import GeneratorFactory

    factory = GeneratorFactory(context.config().plugins)
    names = factory.names()
    if not names and not context.as_json:
        click.echo("No custom generators. Name their modules or files in FRAMEWORK_PLUGINS")
    print_names(context, "generator", {name: factory.describe(name) for name in names})
