"""``dataworks verify``."""

from __future__ import annotations

import sys

import click

from dataworks_tasks.errors import UsageError
from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import COUNT, CommandContext, with_connections, workers_option


@click.command("verify")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option("--detach", is_flag=True, help="Send the messages and exit.")
@click.option(
    "--max-failures",
    type=COUNT,
    metavar="N",
    help="Stop at more than N differences; by default everything is compared.",
)
@click.option(
    "--live",
    is_flag=True,
    help="The source is changing: compare each difference again before it counts.",
)
@click.option(
    "--repair", is_flag=True, help="List the differences, correct them, and compare again."
)
@click.option(
    "--delete-extra", is_flag=True, help="With --repair: delete documents that should not be there."
)
@click.option(
    "--overwrite-changes",
    is_flag=True,
    help="With --repair: continue even if others have changed the target since the run.",
)
@workers_option
@with_connections
def command(
    context: CommandContext,
    run_id: str,
    detach: bool,
    max_failures: int | None,
    live: bool,
    repair: bool,
    delete_extra: bool,
    overwrite_changes: bool,
    workers: int | None,
) -> None:
    """Compare what RUN should have written with what its target holds, document by document.

    For a generation run, the documents are generated again. A migration is compared with its
    source: documents, indexes, options, validators and views. When anything differs, the
    verification ends as "different" with exit code 1, and `dataworks failures` lists the documents
    that differ.

    --repair corrects the differences, and reports those that remain. --live is for a source that
    changes: each difference is compared again before it counts.
    """
    from producer.cli.shared.compare_and_repair import compare_and_repair
    from producer.cli.shared.run_to_end import run_to_end
    from producer.start.start_repair import RepairRequest
    from producer.start.start_verification import start_verification

    if (delete_extra or overwrite_changes) and not repair:
        raise UsageError(
            "--delete-extra and --overwrite-changes require --repair",
            "Add --repair",
        )
    if detach and (repair or live):
        raise UsageError(
            "--repair and --live wait for the comparison, and --detach does not",
            "Leave --detach out",
        )
    with context.run_connections(workers, detach=detach, on_record=True) as connections:
        run_id = connections.run_id(run_id)
        if not (repair or live):
            spec = start_verification(run_id, connections, max_failures)
            sys.exit(run_to_end(context, connections, spec, detach=detach))
        request = RepairRequest(delete_extra, overwrite_changes) if repair else None
        sys.exit(compare_and_repair(context, connections, run_id, request, live=live))
