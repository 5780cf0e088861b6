"""The output of ``dataworks migrate --dry-run`` and ``dataworks plan --include``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.namespace import series_of_buckets
from producer.cli.shared.options import CommandContext
from producer.estimate.assess_migration import Assessment
from producer.estimate.concern import Concern
from producer.estimate.migration_estimate import MigrationEstimate
from producer.estimate.migration_time import MigrationTime


def print_assessment(context: CommandContext, found: Assessment) -> None:
    """Print a line per collection, the table of concerns, and the time."""
    if context.as_json:
        for row in _collections_as_json(found.estimate):
            context.print_json(row)
        context.print_json(assessment_as_json(found))
        return
    context.console.print(_collections(found.estimate))
    context.console.print()
    print_concerns(context, found.concerns)
    documents = f"{counted(found.estimate.documents, 'document')}, {decimal(found.estimate.bytes)}"
    context.console.print(f"{documents}: {time_line(found.time)}.")
    print_following(context, found)
    if not found.separate:
        context.console.print(
            "The run will write a marker to the target first and look for it at the source: "
            "their UUIDs do not show whether they are the same server."
        )
    if not found.time.written:
        context.console.print(
            "Nothing was written, so the time does not include writing: --write-sample measures "
            "that too."
        )


def print_following(context: CommandContext, found: Assessment) -> None:
    """Print how far the source's history reaches back beside the copy, and which rights it took."""
    outlook = found.following
    if outlook is None:
        return
    history, copy = outlook.history, spoken(outlook.copy_seconds)
    if history is None:
        reach = "the source does not say how far its change history reaches back"
    elif history.is_growing:
        reach = (
            f"the source's change history reaches back {spoken(history.seconds)} and has removed "
            "nothing yet"
        )
    else:
        reach = f"the source's change history reaches back {spoken(history.seconds)}"
    stream = "of all databases" if outlook.database is None else f"of {outlook.database}"
    text = f"Following: {reach}; copying takes about {copy}."
    if outlook.stale_seconds:
        text += f" A change takes at least {spoken(outlook.stale_seconds)} to reach the target."
    if not any(concern.refused for concern in found.concerns):
        text += (
            f" Rights that were checked: reading the collections and the change stream {stream}, "
            "writing to the target."
        )
    context.console.print(escape(text))


def _following_as_json(found: Assessment) -> dict[str, Any] | None:
    outlook = found.following
    if outlook is None:
        return None
    history = outlook.history
    return {
        "history_seconds": None if history is None else history.seconds,
        "history_grows": None if history is None else history.is_growing,
        "copy_seconds": round(outlook.copy_seconds, 3),
        "stream": outlook.database,
        "stale_seconds": outlook.stale_seconds,
    }


def assessment_as_json(found: Assessment) -> dict[str, Any]:
    """Return the sums, the concerns and the time."""
    estimate, time = found.estimate, found.time
    return {
        "documents": estimate.documents,
        "bytes": estimate.bytes,
        "slices": estimate.slices,
        "conflicts": sum(item.conflicts for item in estimate.namespaces),
        "seconds": round(time.seconds, 3),
        "error_seconds": round(time.error_seconds, 3),
        "documents_per_second": round(time.rate, 1),
        "workers": time.workers,
        "written": time.written,
        "separate": found.separate,
        "concerns": [
            {"what": c.what, "why": c.why, "remedy": c.remedy, "refused": c.refused}
            for c in found.concerns
        ],
        "following": _following_as_json(found),
    }


def print_concerns(context: CommandContext, concerns: Sequence[Concern]) -> None:
    """Print what will not arrive unchanged; first, in red, what prevents the run."""
    if not concerns:
        context.console.print(
            "Everything will arrive unchanged, as far as this can be checked beforehand."
        )
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("this will not arrive unchanged", "because", "what to do"):
        table.add_column(name, overflow="fold")
    for item in sorted(concerns, key=lambda concern: not concern.refused):
        style = "red" if item.refused else "yellow"
        table.add_row(*map(escape, (item.what, item.why, item.remedy)), style=style)
    context.console.print(table)
    context.console.print()
    if refused := sum(item.refused for item in concerns):
        context.console.print(f"[red]The run would be refused because of {refused} of these.[/red]")


def time_line(time: MigrationTime) -> str:
    """Return a line like ``9 h 20 min \u00b1 1 h with 8 workers at 24,310 docs/s each``."""
    what = "" if time.written else "reading takes "
    workers = counted(time.workers, "worker")
    text = (
        f"{what}{spoken(time.seconds)} \u00b1 {spoken(time.error_seconds)} with {workers} "
        f"at {time.rate:,.0f} docs/s{' each' if time.workers > 1 else ''}"
    )
    if time.index_seconds:
        text += f", {spoken(time.index_seconds)} of it for indexes"
    return text


def spoken(seconds: float) -> str:
    """Format a duration with two units, like ``9 h 20 min`` or ``4.3 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    units = [(days, "d"), (hours, "h"), (minutes, "min")]
    parts = [f"{count} {unit}" for count, unit in units if count]
    return " ".join(parts[:2])


def _collections(estimate: MigrationEstimate) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("source -> target", overflow="fold")
    for name in ("documents", "size", "slices", "indexes", "at target", "conflicts"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in estimate.namespaces:
        table.add_row(
            f"{series_of_buckets(item.pair.source)} -> {series_of_buckets(item.pair.target)}",
            f"{item.documents:,}",
            decimal(item.bytes),
            f"{item.slices:,}",
            str(len(item.indexes)),
            f"{item.target_documents:,}",
            f"{item.conflicts:,}",
        )
    return table


def _collections_as_json(estimate: MigrationEstimate) -> list[dict[str, Any]]:
    return [
        {
            "source": str(item.pair.source),
            "target": str(item.pair.target),
            **{name: value for name, value in asdict(item).items() if name != "pair"},
        }
        for item in estimate.namespaces
    ]
