"""What a run did, and the command to type next: the end of a command, and ``status``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dataworks_tasks.errors import LedgerUnavailable
from dataworks_tasks.ledger.contract import FINISHED, WORKING, RunState
from dataworks_tasks.ledger.run_note import NoteTopic
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.spec import RunKind, RunSpec
from producer.cli.shared.options import CommandContext
from producer.view.durations import shown_duration
from producer.view.next_step import may_resume, resume_command
from producer.view.run_summary import RunSummary, exit_code, summarize, with_differences

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dataworks_tasks.ledger.contract import RunProgress
    from dataworks_tasks.ledger.run_flags import RunFlags
    from producer.connections import Connections


def sum_up(
    context: CommandContext, connections: Connections, spec: RunSpec, progress: RunProgress
) -> int:
    """Print what a run did, or what it does without this command; return the exit code."""
    left_early = progress.state in WORKING
    if left_early:
        run = _left_early(connections, spec, progress)
    else:
        run = with_differences(summarize(spec, progress), connections.ledger)
    if context.as_json:
        context.print_json(run.as_json())
    else:
        context.console.print()
        context.console.print(summary(run, context.pasteable))
        print_next_step(context.console, run, context.typed)
    return 130 if left_early else exit_code(run)


def _left_early(connections: Connections, spec: RunSpec, progress: RunProgress) -> RunSummary:
    """Return what is known of a run that goes on, or is paused because nobody else works on it.

    The person wants to leave: a Redis that does not answer is given three seconds.
    """
    from dataworks_tasks.monitor.standstill import cause_of_standstill

    ledger = connections.watched_ledger
    try:
        if connections.alone:
            ledger.change_state(spec.run_id, WORKING, RunState.PAUSED)
            progress = ledger.progress(spec.run_id)
        cause = cause_of_standstill(ledger, progress)
        return with_differences(summarize(spec, progress, cause=cause), ledger)
    except LedgerUnavailable as error:
        return summarize(spec, progress, cause=str(error))


def summary(
    run: RunSummary, complete: Callable[[str, RunFlags], str] = lambda text, _: text
) -> Table:
    """Return one run as a table of two columns.

    ``complete`` completes the commands in a text. Where that changes something, the text does not
    fit a table any more, and ``print_next_step`` prints it.
    """
    from rich.filesize import decimal
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from producer.cli.shared.console import Sentence

    def lengthened(text: str) -> bool:
        return complete(text, run.flags) != text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    rows = {
        "state": shown_state(run),
        "cause": escape(run.cause or "") if not lengthened(run.cause or "") else "",
        "documents": f"{run.documents:,} of {run.documents_total:,}{_share(run)}{_outcomes(run)}",
        "time": f"{shown_duration(run.seconds)}  ({run.rate:,.0f} docs/s){_left(run)}",
        "size": decimal(run.bytes) if run.bytes else "",
        "limit": str(run.limits),
        "gaps": f"{run.gaps:,}",
        "failures" if run.kind is not RunKind.VERIFICATION else "differences": f"{run.failures:,}",
    }
    if run.throttled_requests:
        rows["throttled"] = (
            f"{counted(run.throttled_requests, 'request')}, {run.waited_seconds:.1f} s waited"
        )
    for name, measured, estimated in (
        ("charge", run.request_units, run.request_units_estimated),
        ("reading", run.read_request_units, run.read_request_units_estimated),
    ):
        if charged := measured + estimated:
            rows[name] = (
                f"{charged:,} RU ({charged / run.seconds:,.0f} RU/s, "
                f"{estimated / charged:.0%} estimated)"
            )
    if run.peak_worker_bytes:
        # Also those that have ended since.
        processes = counted(run.workers, "process", "processes")
        where = "the process" if run.workers == 1 else f"one of the {processes}"
        rows["memory"] = f"peak {decimal(run.peak_worker_bytes)} in {where} that worked on it"
    rows |= {escape(str(item.rule)): str(item) for item in run.rules}
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    for note in run.notes:
        if lengthened(str(note)):
            continue
        color = "yellow" if note.attention else "default"
        table.add_row(note.topic, Sentence(Text(str(note), style=color)))
    for line in run.found:
        table.add_row("differ", f"[red]{escape(line)}[/red]")
    return table


def _share(run: RunSummary) -> str:
    """Return the share done of an unfinished run, rounded down: 100% means all of it."""
    more = " so far" if run.planning else ""
    done = run.is_copied or run.state in FINISHED
    return "" if done else f"{more}, {int(100 * run.share)}%"


def _left(run: RunSummary) -> str:
    return f", about {run.time_left} left" if run.time_left else ""


def _outcomes(run: RunSummary) -> str:
    """Return what happened to the documents, unless all of them were written."""
    done = {name: count for name, count in run.outcomes.items() if count}
    if not done.keys() - {"written"}:
        return ""
    counts = [f"{count:,} {name.replace('_', ' ')}" for name, count in done.items()]
    return f"  ({', '.join(counts)})"


def shown_state(run: RunSummary) -> str:
    """Return the state in its color."""
    color = {
        "complete": "green",
        "failed": "red",
        "different": "red",
        "cancelled": "yellow",
        "paused": "yellow",
    }
    shown = color.get(run.state.value, "cyan")
    if run.state.value == "complete" and run.to_read:
        return f"[yellow]complete, {len(run.to_read)} to read[/yellow]"
    return f"[{shown}]{run.state.value}[/{shown}]"


def print_next_step(
    console: Console, run: RunSummary, typed: RunFlags, *, abandoned: bool = False
) -> None:
    """Print the command to type next, if there is one.

    ``typed``: the flags that this command got. ``abandoned``: no process works on the run, although
    it has not ended.
    """
    from rich.markup import escape

    from producer.view.pasteable import first_steps, pasteable, with_flags

    def shown(text: str) -> str:
        return with_flags(text, typed, run.flags)

    error = run.last_error if run.state.value == "failed" and run.last_error else ""
    steps = [*_next_steps(run, abandoned)]
    if error:
        console.print(f"[red]{escape(shown(error))}[/red]")
    below = [text for text in _texts(run) if pasteable(text, typed, run.flags) != text]
    for text in below:
        console.print(shown(text), style="yellow", markup=False, soft_wrap=True)
    for remark in run.remarks:
        console.print(f"[yellow]{escape(shown(remark))}[/yellow]")
    before = first_steps(" ".join((error, *below, *steps)), typed, run.flags)
    for line in (*before, *map(shown, steps)):
        # A log keeps the line in one piece, however wide the console is said to be.
        console.print(line, markup=False, soft_wrap=True)


def _texts(run: RunSummary) -> Iterator[str]:
    """Yield what the table shows in sentences, unless commands in it need flags."""
    if run.cause:
        yield run.cause
    for note in run.notes:
        yield f"{note.topic}: {note}"


def _next_steps(run: RunSummary, abandoned: bool) -> Iterator[str]:
    if run.failures and run.kind is RunKind.VERIFICATION:
        yield f"See the differences with: dataworks failures {run.run_id}"
        yield from run.repair_steps
    elif run.failures and run.kind is RunKind.REPAIR:
        yield f"What still differs: dataworks failures {run.run_id}"
    elif run.failures:
        yield f"See them with: dataworks failures {run.run_id}"
        if not run.is_cut_over:
            yield f"Try them again with: dataworks retry {run.run_id}"
    if run.verified and any(note.topic is NoteTopic.INDEXES for note in run.notes_to_read):
        yield f"Build indexes that are missing: dataworks indexes {run.verified}"
    if not run.is_over and not abandoned:
        yield f"Watch it with: dataworks status {run.run_id} --watch"
    elif abandoned or (run.state.value != "cancelled" and may_resume(run.state, run.last_error)):
        command = resume_command(run.run_id, run.state, run.last_error)
        yield f"Continue with: {command}"
