"""``dataworks worker``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import zip_longest

import click

from producer.cli.shared.options import CommandContext, Count, with_connections

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def named_pools(arguments: tuple[str, ...]) -> Iterator[str]:
    """Yield the pools that Celery's options name: -P NAME, -PNAME, --pool NAME, --pool=NAME."""
    for option, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        if option in {"-P", "--pool"}:
            yield following
        elif option.startswith("--pool="):
            yield option.partition("=")[2]
        elif option.startswith("-P"):
            yield option[2:]


_WITH_VALUE = frozenset("APQXISbcflnOs")
"""Celery's one-letter options that take a value, which may follow without a space."""


class _WorkerCommand(click.Command):
    """Passes Celery options on that are written as one word, such as -Pthreads.

    Click reads such a word as several one-letter options, and prints its help at an h.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the value of each such option as a separate word."""
        return super().parse_args(ctx, [word for given in args for word in _words(given)])


def _words(given: str) -> tuple[str, ...]:
    joined = len(given) > 2 and given[0] == "-" and given[1] in _WITH_VALUE
    return (given[:2], given[2:].removeprefix("=")) if joined else (given,)


@click.command("worker", cls=_WorkerCommand, context_settings={"ignore_unknown_options": True})
@click.option(
    "--processes",
    type=Count(1, 512),
    metavar="N",
    help="Processes that work at once; otherwise FRAMEWORK_GENERATION_WORKERS, or one per core.",
)
@click.option(
    "--name",
    default="celery",
    show_default=True,
    metavar="NAME",
    help="Name, which becomes NAME@HOST. Workers on one machine need different names.",
)
@click.option(
    "--log-level",
    type=click.Choice(_LEVELS),
    default="INFO",
    show_default=True,
    help="Lowest level of messages to log.",
)
@click.argument("more", nargs=-1, metavar="[CELERY OPTIONS]...")
@with_connections
def command(
    context: CommandContext,
    processes: int | None,
    name: str,
    log_level: str,
    more: tuple[str, ...],
) -> None:
    """Start a Celery worker with the right flags; Ctrl-C ends it after the current range.

    Other options go to `celery -A dataworks_tasks worker` unchanged.

    \b
    dataworks worker
    dataworks worker --processes 4 --broker redis://cache.example --target mongodb://db.example
    """
    from dataworks_tasks.worker.pool_check import check_pool
    from producer.local.environment import worker_environment

    # Checked before Celery imports it: a pool that is not installed would end in a traceback.
    for pool in named_pools(more):
        check_pool(pool)
    arguments = [
        *(sys.executable, "-m", "celery", "-A", "dataworks_tasks", "worker"),
        *("--hostname", name if "@" in name else f"{name}@%h"),
        *("--loglevel", log_level),
        # A fleet does not need the messages that workers exchange.
        *("--without-gossip", "--without-mingle"),
        *(("--concurrency", str(processes)) if processes else ()),
        *more,
    ]
    # In the environment, and not in the arguments: those are in the process list.
    config = context.config()
    environment = worker_environment(config, context.profile)
    if context.as_json:
        environment["FRAMEWORK_LOG_FORMAT"] = "json"
    if "broker_url" not in config.model_fields_set:
        said = "No Redis is set: trying the one on this machine. To use another one: --broker URL"
        click.echo(said, err=context.as_json)
    sys.stdout.flush()
    os.execve(sys.executable, arguments, {**os.environ, **environment})  # noqa: S606
