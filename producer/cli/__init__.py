"""The command line: ``dataworks``, the same as ``python -m producer``."""

from __future__ import annotations

import atexit
import errno
import gc
import importlib
import os
import sys
import threading
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from dataworks_tasks.errors import (
    DataWorksError,
    TransientError,
    UnexpectedError,
    UsageError,
    nearest_or_all,
)
from dataworks_tasks.version import __version__

COMMANDS = {
    "demo": "generate, migrate and verify on embedded services",
    "local": "embedded Redis, MongoDB, workers and pages until Ctrl-C",
    "worker": "start a Celery worker",
    "plan": "estimate the time and resources of a run before it starts",
    "generate": "fill a collection from a template or a generator",
    "migrate": "copy collections from the source to the target",
    "verify": "compare what a run should have written with its target",
    "sync": "follow a complete migration, or follow it back after a cut-over",
    "cutover": "finish a migration that follows its source",
    "rate": "change the limits of a run while it runs",
    "resume": "continue a run: do only what is missing",
    "pause": "pause a run until it is resumed",
    "cancel": "stop a run",
    "retry": "retry the documents that could not be written",
    "indexes": "build the indexes of a migration that are missing at its target",
    "failures": "list the documents that could not be written",
    "status": "show a run",
    "runs": "list the runs",
    "web": "serve pages and an API that show every run",
    "report": "write a report of a run as one HTML file",
    "doctor": "check Redis, databases and workers",
    "metrics": "serve the fleet's metrics for Prometheus, and watch alerts",
    "kubernetes-secret": "print the secret settings as a Kubernetes secret",
    "profiles": "list the profiles, or show one with the reasons for its values",
    "templates": "list, check and preview templates",
    "generators": "list the generators",
    "strategies": "list the migration strategies",
    "worker-health": "check whether this machine's workers are alive; for health checks",
    "completion": "print a script that makes a shell complete commands",
    "help": "print a page about a topic",
}
"""Every command with the one line that ``dataworks --help`` shows for it."""


class LazyGroup(click.Group):
    """Imports a command's module when it is called, so that ``--help`` stays fast."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a person needs them."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Return the command, or None if there is none of that name."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"producer.cli.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve the command, and suggest the nearest name for a mistyped one."""
        # Shell completion calls this, too, and must not get an error.
        wrong = args and args[0] not in COMMANDS and not args[0].startswith("-")
        if wrong and not ctx.resilient_parsing:
            raise UsageError(
                f"there is no command {args[0]!r}",
                nearest_or_all(args[0], COMMANDS, limit=len(COMMANDS)),
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; print an unexpected error as one line, or a traceback with --debug."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, DataWorksError):
            raise
        except Exception as error:
            if ctx.params["debug"] or _is_about_output(error):
                raise
            from dataworks_tasks.unexpected import described

            raise UnexpectedError(
                f"an unexpected {described(error)}",
                f"The traceback, for a report: dataworks --debug {ctx.invoked_subcommand} ...",
            ) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return commands with their lines, without importing any, and the flags."""
        found = [
            CompletionItem(name, help=about)
            for name, about in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return found or super(click.Group, self).shell_complete(ctx, incomplete)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dataworks")
@click.option("--debug", is_flag=True, help="Print a traceback of an unexpected error.")
def cli(debug: bool) -> None:
    """Fill and move very large document collections with a fleet of Celery workers.

    Exit codes: 0 done, 1 failed, 2 bad usage or settings, 3 not finished (continue with resume),
    4 finished with something to read (failures, notes, unmatched rules), 130 interrupted.
    """


def main() -> NoReturn:
    """Run the command line; never returns."""
    # Imports create a few hundred thousand objects that stay; searching them for garbage every 700
    # objects takes an eighth of a command's start.
    gc.set_threshold(200_000)
    # numpy's OpenBLAS starts a thread for each core, which spins for a while: a tenth of a short
    # command's processor time. Nothing here needs it, and a number that the user has set stays.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _open_closed_streams()
    _leave(_exit_code())


def _open_closed_streams() -> None:
    """Put /dev/null where the shell closed a standard stream (``2>&-``).

    A socket or a pipe would get its number otherwise, here and in the processes that are started.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _exit_code() -> int:
    try:
        code = cli.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except (click.ClickException, DataWorksError) as error:
        from producer.cli.shared.error_output import asks_for_json, print_error

        return print_error(error, as_json=asks_for_json(sys.argv[1:]))
    except OSError as error:
        if not _is_about_output(error):
            raise
        # What is still buffered cannot be written either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _without_output(error)
    except SystemExit as error:
        if isinstance(error.code, str):
            click.echo(error.code, err=True)
            return 1
        code = error.code
    return code if isinstance(code, int) else 0


def _leave(code: int) -> NoReturn:
    """End the process without tearing down its modules, which takes a third of its start time.

    Commands have closed what they opened; functions that wait for the interpreter's end are called
    here.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if not all(thread.daemon for thread in others):
        sys.exit(code)  # which waits for them
    _leave_sleeping_threads()
    atexit._run_exitfuncs()
    # A stream that was closed before the start is None.
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError as error:
            code = code or _without_output(error)
    os._exit(code)


def _is_about_output(error: Exception) -> bool:
    """Return whether the reader of the output has left, or a disk is full."""
    return isinstance(error, OSError) and error.errno in {errno.EPIPE, errno.ENOSPC, errno.EDQUOT}


def _without_output(error: OSError) -> int:
    """Say why the output could not be written, unless its reader has left; return the exit code."""
    if error.errno == errno.EPIPE:
        return 1
    from producer.cli.shared.error_output import asks_for_json, print_error

    full = TransientError(
        f"the output or a file cannot be written: {error.strerror}",
        "Free space on the disk, and repeat the command",
    )
    return print_error(full, as_json=asks_for_json(sys.argv[1:]))


def _leave_sleeping_threads() -> None:
    """Undo PyMongo's exit handler, which waits up to half a second for sleeping threads.

    They are daemons and end with this process; clients that a command opened are closed already.
    """
    monitor = sys.modules.get("pymongo.synchronous.monitor")
    waits = getattr(monitor, "_shutdown_resources", None)
    if waits is not None:
        atexit.unregister(waits)
