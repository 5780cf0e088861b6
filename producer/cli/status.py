"""``dataworks status``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from dataworks_tasks.errors import TransientError, UsageError
from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import CommandContext, with_connections

if TYPE_CHECKING:
    from dataworks_tasks.ledger.contract import Ledger, RunProgress
    from dataworks_tasks.runs.spec import RunSpec
    from producer.connections import Connections
    from producer.drive.observation import RunView
    from producer.view.follow_figures import FollowFigures

_DRAWN_SECONDS = 0.2
_JSON_SECONDS = 1.0
_MOST_COLLECTIONS = 50
_ENDED = "the command that worked on it has ended"


@click.command("status")
@click.argument("run_id", metavar="[RUN]", required=False, shell_complete=complete_runs)
@click.option("--watch", is_flag=True, help="Stay and show progress until the run ends.")
@click.option("--spec", is_flag=True, help="Print the run's spec, for `resume --rebuild`.")
@with_connections
def command(context: CommandContext, run_id: str | None, watch: bool, spec: bool) -> None:
    """Show RUN, or the newest run. The exit code is that of the run."""
    from rich.markup import escape

    from dataworks_tasks.ledger.contract import WORKING
    from dataworks_tasks.monitor.standstill import cause_of_standstill, has_lost_its_command
    from producer.cli.shared.run_outcome import print_next_step, summary
    from producer.view.live_snapshot import collections
    from producer.view.remaining_time import RemainingTime
    from producer.view.render import collection_table
    from producer.view.run_summary import (
        exit_code,
        once_copied,
        summarize,
        with_differences,
    )

    with context.connections() as connections:
        chosen = connections.run_id(run_id) if run_id else _newest(connections.ledger)
        if spec:
            click.echo(connections.ledger.spec(chosen).to_json())
            return
        abandoned = connections.ledger.state(chosen) in WORKING and (
            connections.alone or has_lost_its_command(connections.ledger, chosen)
        )
        watch = watch and not abandoned
        if watch:
            _watch(context, connections, chosen)
        chosen_spec, progress = connections.ledger.spec(chosen), connections.ledger.progress(chosen)
        cause = _ENDED if abandoned else cause_of_standstill(connections.ledger, progress)
        remaining = RemainingTime.of(connections.ledger, chosen_spec)
        left = None if abandoned else remaining.observe(progress)
        run = summarize(chosen_spec, progress, cause=cause, time_left=left)
        parts = collections(connections.ledger, chosen_spec, progress)
        run = with_differences(run, connections.ledger)
        following = _following(connections.ledger, chosen_spec, progress)
        run = once_copied(run, is_copied=following is not None and not following.is_copying)
        if context.as_json:
            if not watch:
                more: dict[str, Any] = {"collections": [part.as_json() for part in parts]}
                more |= {"following": following.as_json()} if following else {}
                context.print_json({**run.as_json(), **more})
        else:
            if watch:
                context.console.print()
            else:
                context.console.print(f"[bold]{run.run_id}[/bold]  {escape(run.name)}")
            context.console.print(summary(run, context.pasteable))
            if parts and not watch:
                context.console.print(collection_table(parts, _MOST_COLLECTIONS))
            for name, value in following.rows() if following else ():
                context.console.print(f"[dim]{name:<10}[/dim] {value}")
            print_next_step(context.console, run, context.typed, abandoned=abandoned)
        sys.exit(exit_code(run))


def _following(ledger: Ledger, spec: RunSpec, progress: RunProgress) -> FollowFigures | None:
    if not spec.follows:
        return None
    from producer.view.follow_figures import follow_figures

    return follow_figures(ledger, spec, progress)


def _newest(ledger: Ledger) -> str:
    run_ids = ledger.run_ids()
    if not run_ids:
        raise UsageError(
            "there is no run yet", "Start with: dataworks generate service_order --total 1M"
        )
    return run_ids[0]


def _watch(context: CommandContext, connections: Connections, run_id: str) -> None:
    """Show the run until it ends, through outages of Redis."""
    from rich.markup import escape

    from dataworks_tasks.ledger.contract import WORKING
    from producer.drive.causes import Causes
    from producer.drive.message_queue import MessageQueue
    from producer.drive.observation import Observation
    from producer.view.live_snapshot import AlertWatch
    from producer.view.progress import JsonView, create_view
    from producer.view.run_summary import shown_name

    ledger = connections.watched_ledger
    spec = ledger.spec(run_id)
    watch = AlertWatch.of(connections.config)
    view: RunView
    if context.as_json:
        view, pause = JsonView(spec, ledger, context.print_json, watch), _JSON_SECONDS
    else:
        flags = ledger.progress(run_id).flags
        complete = lambda text: context.pasteable(text, flags)  # noqa: E731
        view = create_view(spec, context.console, ledger, watch, complete)
        pause = _DRAWN_SECONDS
        context.console.print(f"[bold]{run_id}[/bold]  {escape(shown_name(spec))}")
    queue = MessageQueue(connections.app)
    causes = Causes(ledger, at_once=True)
    progress: RunProgress | None = None
    with view:
        while progress is None or progress.state in WORKING:
            try:
                progress = ledger.progress(run_id)
                view.observe(Observation(progress, queue.depth(), standstill=causes.of(progress)))
            except TransientError as error:
                causes.note_outage()
                view.observe(Observation(None, None, outage=str(error)))
            if progress is None or progress.state in WORKING:
                time.sleep(pause)
