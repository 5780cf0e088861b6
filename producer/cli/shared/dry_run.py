"""What ``dataworks migrate --dry-run`` prints."""

from __future__ import annotations

from dataclasses import asdict

from rich.filesize import decimal
from rich.table import Table

from producer.cli.shared.options import CommandContext
from producer.estimate.migration_estimate import MigrationEstimate
from producer.view.render import shown_duration


def print_estimate(context: CommandContext, estimate: MigrationEstimate) -> None:
    """A line a collection, and the sum."""
    if context.as_json:
        for item in estimate.namespaces:
            source, target = str(item.pair.source), str(item.pair.target)
            context.print_json({**asdict(item), "pair": None, "source": source, "target": target})
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("source -> target", overflow="fold")
    for name in ("documents", "size", "slices", "indexes", "at target", "conflicts"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in estimate.namespaces:
        table.add_row(
            f"{item.pair.source} -> {item.pair.target}",
            f"{item.documents:,}",
            decimal(item.bytes),
            f"{item.slices:,}",
            str(len(item.indexes)),
            f"{item.target_documents:,}",
            f"{item.conflicts:,}",
        )
    context.console.print(table)
    context.console.print(
        f"{estimate.documents:,} documents, {decimal(estimate.bytes)}: about "
        f"{shown_duration(estimate.seconds)} for one reader at the measured rate. "
        "Nothing was written."
    )
