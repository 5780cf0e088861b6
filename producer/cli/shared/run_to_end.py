"""What commands do after they started or continued a run: attach or detach, then sum up.

What draws and sums up is imported after the run was started, so that workers begin meanwhile.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from dataworks_tasks.errors import TransientError, UsageError
from dataworks_tasks.runs.spec import RunSpec
from producer.cli.shared.options import CommandContext

if TYPE_CHECKING:
    from dataworks_tasks.ledger.contract import RunProgress
    from producer.connections import Connections
    from producer.drive.observation import RunView


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a command stays with the run that it starts."""

    detach: bool = False
    verify: bool = False

    def __post_init__(self) -> None:
        if self.detach and self.verify:
            raise UsageError(
                "--verify waits for the run, but --detach does not",
                "Leave --verify out, and run this afterwards: dataworks verify RUN",
            )


def run_new(context: CommandContext, connections: Connections, spec: RunSpec, stay: Stay) -> int:
    """Run what was just recorded, and verify it if requested; return the exit code."""
    code = run_to_end(context, connections, spec, detach=stay.detach)
    if code not in (0, 4) or not stay.verify:
        return code
    from producer.start.start_verification import start_verification

    check = start_verification(spec.run_id, connections)
    return run_to_end(context, connections, check, detach=False) or code


def say_on_record(context: CommandContext, name: str | None) -> None:
    """Say that a command with ``--run-name`` continues a run instead of starting one."""
    if not context.as_json:
        context.console.print(
            f"The run named {name} is on record: it is continued, "
            "and only what is missing is done.",
            highlight=False,
            markup=False,
        )


def keep_run(context: CommandContext, connections: Connections, spec: RunSpec) -> None:
    """Keep the run's spec in the folder, and the flags that were typed for it in the ledger."""
    from producer.resume.spec_file import keep_spec

    keep_spec(spec)
    if context.typed:
        # The flags are for people only: the run goes without them when Redis does not answer now.
        with suppress(TransientError):
            connections.ledger.keep_flags(spec.run_id, context.typed)


def run_to_end(
    context: CommandContext, connections: Connections, spec: RunSpec, *, detach: bool
) -> int:
    """Detach, or stay until the run ends; print the outcome; return the exit code."""
    try:
        keep_run(context, connections, spec)
        connections.finish_imports()
        from producer.drive.attach import attach
    except KeyboardInterrupt:
        # The run is on record, so workers may do it although nothing was sent yet.
        from producer.drive.interrupt_notice import interrupt_notice

        notice = interrupt_notice(spec.run_id, alone=connections.alone)
        context.print_hint(f"{spec.run_id}\n{notice}")
        return _sum_up(context, connections, spec, connections.watched_ledger.progress(spec.run_id))
    if detach:
        return _detach(context, connections, spec)
    progress = attach(connections, spec, partial(_view, context, connections, spec))
    if progress is None:
        context.print_hint(f"Redis never answered. Continue with: dataworks resume {spec.run_id}")
        return 3
    return _sum_up(context, connections, spec, progress)


def _sum_up(
    context: CommandContext, connections: Connections, spec: RunSpec, progress: RunProgress
) -> int:
    from producer.cli.shared.run_outcome import sum_up

    return sum_up(context, connections, spec, progress)


def _view(context: CommandContext, connections: Connections, spec: RunSpec) -> RunView:
    from producer.view.live_snapshot import AlertWatch

    watch = AlertWatch.of(connections.config, notifies=True)
    if context.as_json and not sys.stderr.isatty():
        from producer.view.plain_view import PlainView

        say = lambda line: click.echo(context.pasteable(line), err=True)  # noqa: E731
        return PlainView(spec, say, connections.watched_ledger, watch)
    from rich.markup import escape

    from producer.view.progress import create_view
    from producer.view.run_summary import shown_name

    if not context.as_json:
        context.console.print(f"[bold]{spec.run_id}[/bold]  {escape(shown_name(spec))}")
    return create_view(spec, context.console, connections.watched_ledger, watch, context.pasteable)


def _detach(context: CommandContext, connections: Connections, spec: RunSpec) -> int:
    from dataworks_tasks.monitor.standstill import standstill
    from producer.drive.attach import set_going

    set_going(connections, spec)
    if context.as_json:
        context.print_json({"run": spec.run_id})
    else:
        context.console.print(f"[bold]{spec.run_id}[/bold]  was handed to the workers")
        found = standstill(connections.ledger, connections.ledger.progress(spec.run_id))
        if found.cause and not found.has_workers:
            context.print_hint(found.cause, style="yellow")
        context.print_hint(f"Watch it with: dataworks status {spec.run_id} --watch")
    return 0
