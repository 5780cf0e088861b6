"""``dataworks strategies``."""

from __future__ import annotations

import click

from producer.cli.shared.name_list import print_names
from producer.cli.shared.options import CommandContext, with_context


@click.command("strategies")
@with_context
def command(context: CommandContext) -> None:
    """List the migration strategies: built in, or from FRAMEWORK_PLUGINS or installed packages."""
    from dataworks_tasks.migrate.factory import MigrationStrategyFactory
    from dataworks_tasks.plugins import load_plugins

    load_plugins(context.config().plugins)
    factory = MigrationStrategyFactory
    print_names(context, "strategy", {name: factory.describe(name) for name in factory.names()})
