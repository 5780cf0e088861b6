"""``dataworks cutover``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.bounds import OUTSIDE_OPEN_TRANSACTIONS_SECONDS
from producer.cli.shared.completion import complete_runs
from producer.cli.shared.options import CommandContext, with_connections

if TYPE_CHECKING:
    from dataworks_tasks.runs.spec import RunSpec
    from producer.connections import Connections
    from producer.doctor.check import Check


class Seconds(click.ParamType[float]):
    """A number of seconds, as 65 or 65s."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse a number of seconds."""
        try:
            return float(str(value).removesuffix("s"))
        except ValueError:
            self.fail(f"{value!r} is not a number of seconds such as 65s", param, ctx)


@click.command("cutover")
@click.argument("run_id", metavar="RUN", shell_complete=complete_runs)
@click.option("--dry-run", is_flag=True, help="Print the checklist, and change nothing.")
@click.option(
    "--verify",
    type=click.Choice(["changed", "full", "none"]),
    default="changed",
    show_default=True,
    help="What to compare before RUN is completed.",
)
@click.option(
    "--quiet",
    type=Seconds(),
    default=OUTSIDE_OPEN_TRANSACTIONS_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long the source must be free of writes.",
)
@click.option(
    "--block-writes", is_flag=True, help="Make the source refuse writes (MongoDB 6.0 and newer)."
)
@click.option(
    "--accept-failures",
    is_flag=True,
    help="Continue even if documents could not be written, or an index could not be built.",
)
@with_connections
def command(
    context: CommandContext,
    run_id: str,
    dry_run: bool,
    verify: str,
    quiet: float,
    block_writes: bool,
    accept_failures: bool,
) -> None:
    """Finish a migration that follows its source: drain, verify, build unique indexes, complete.

    It may be killed at any moment and repeated. The run follows its source until the last step.
    """
    from rich.markup import escape

    from producer.cli.shared.run_to_end import run_to_end
    from producer.cutover.block_writes import ALLOW_WRITES
    from producer.cutover.compared_differences import compared_differences
    from producer.cutover.cut_over import CutOver
    from producer.cutover.cut_over_request import CutOverRequest
    from producer.cutover.end_cut_over import end_cut_over
    from producer.drive.ending_signals import ended_in_order
    from producer.start.start_verification import start_verification

    request = CutOverRequest(verify, quiet, block_writes, accept_failures)
    with context.connections() as connections:
        run_id = connections.run_id(run_id)
        spec = connections.ledger.spec(run_id)
        connections.check_servers(spec)
        if end_cut_over(connections, spec):
            _say_done(context, connections, spec)
            return

        def verify_full() -> int:
            gone = cut_over.gone_collections()
            check = start_verification(run_id, connections, following=True, without=gone)
            run_to_end(context, connections, check, detach=False)
            return compared_differences(connections.ledger.progress(check.run_id), run_id)

        def say(line: str) -> None:
            context.console.print(escape(context.pasteable(line)))

        cut_over = CutOver(connections, spec, request, say, verify_full)
        checks = cut_over.checks()
        _print_checks(context, checks)
        if dry_run:
            sys.exit(0 if all(check.ok for check in checks) else 1)
        _refuse(run_id, checks)
        with ended_in_order():
            is_ours = cut_over.run()
        _say_done(context, connections, spec)
        if block_writes and is_ours and not context.as_json:
            context.console.print(
                "The source still refuses writes. When you no longer need that, allow writes: "
                f"{ALLOW_WRITES}"
            )


def _print_checks(context: CommandContext, checks: list[Check]) -> None:
    from rich.markup import escape

    for check in checks:
        remedy = context.pasteable(check.remedy)
        if context.as_json:
            context.print_json({**check.as_json(), "remedy": remedy})
            continue
        mark = "[green]ok[/green]" if check.ok else "[red]no[/red]"
        context.console.print(f"{mark}  {escape(check.name)}: {escape(check.found)}")
        if check.remedy and not check.ok:
            context.console.print(f"    {escape(remedy)}")


def _refuse(run_id: str, checks: list[Check]) -> None:
    failed = next((check for check in checks if not check.ok), None)
    if failed is not None:
        raise UsageError(
            f"run {run_id} cannot be cut over ({failed.name}: {failed.found})", failed.remedy
        )


def _say_done(context: CommandContext, connections: Connections, spec: RunSpec) -> None:
    from dataworks_tasks.numerals import counted

    failures = connections.ledger.progress(spec.run_id).failures
    if context.as_json:
        context.print_json({"run": spec.run_id, "state": "complete", "failures": failures})
        return
    if failures:
        are = counted(failures, "document is", "documents are")
        context.print_hint(f"{are} different at the target: dataworks failures {spec.run_id}")
    context.console.print(
        f"{spec.run_id} is complete: point your application at {spec.target_fingerprint}"
    )
