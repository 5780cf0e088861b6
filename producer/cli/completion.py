"""``dataworks completion``."""

from __future__ import annotations

import click

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print a script that makes SHELL complete commands, flags, runs and templates.

    \b
    bash: echo 'eval "$(dataworks completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(dataworks completion zsh)"' >> ~/.zshrc   (after compinit)
    fish: mkdir -p ~/.config/fish/completions
          dataworks completion fish > ~/.config/fish/completions/dataworks.fish
    """
    from click.shell_completion import get_completion_class

    from producer.cli import cli

    found = get_completion_class(shell)
    assert found is not None, f"click knows no {shell}"
    script = found(cli, {}, "dataworks", "_DATAWORKS_COMPLETE").source()
    # Click's script for fish would end a description at its first comma.
    click.echo(script.replace('string split ","', 'string split --max 1 ","'))
