"""``dataworks kubernetes-secret``."""

from __future__ import annotations

import json
import os
import sys

import click

from dataworks_tasks.errors import UsageError
from producer.cli.shared.options import CommandContext, with_context


@click.command("kubernetes-secret")
@click.option(
    "--name", default="dataworks", show_default=True, metavar="NAME", help="Name of the secret."
)
@with_context
def command(context: CommandContext, name: str) -> None:
    """Print the secret settings as a Kubernetes secret, for kubectl apply -f -.

    Settings are read as in every command, so quotes in .env_local do not become part of a password.
    Passwords are not printed on a terminal.
    """
    if sys.stdout.isatty():
        raise UsageError(
            "the secret would be shown on the terminal",
            "Type: dataworks kubernetes-secret | kubectl -n dataworks apply -f -",
        )
    from dataworks_tasks.settings.env_files import read_env_file
    from producer.kubernetes_secret import (
        FLOWER_PASSWORD,
        keda_hints,
        kubernetes_secret,
        other_settings,
    )

    config = context.config()
    flower = os.environ.get(FLOWER_PASSWORD) or read_env_file().get(FLOWER_PASSWORD)
    secret = kubernetes_secret(config, name, flower)
    if context.as_json:
        click.echo(json.dumps(secret))
    else:
        click.echo(json.dumps(secret, indent=2))
    if settings := other_settings(config):
        click.echo(f"not secret, so put these into settings.yaml: {', '.join(settings)}", err=True)
    for hint in keda_hints(config):
        click.echo(f"in worker-scaling.yaml {hint}", err=True)
