"""Compare a run with its target and repair what differs, in the order that a person sees."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import click

from dataworks_tasks.ledger.contract import FINISHED
from dataworks_tasks.ledger.run_note import SCHEMA, RunNote
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs import bounds
from producer.cli.shared.options import CommandContext
from producer.cli.shared.run_to_end import run_to_end
from producer.connections import Connections
from producer.resume.resync import reconcile_every_key
from producer.start.look_again import (
    PATIENCE_BEFORE_REPAIR_SECONDS,
    PATIENCE_SECONDS,
    look_again,
)
from producer.start.start_repair import (
    RepairRequest,
    check_repairable,
    start_repair,
)
from producer.start.start_verification import start_verification

_LISTED = 20


def compare_and_repair(
    context: CommandContext,
    connections: Connections,
    run_id: str,
    request: RepairRequest | None,
    *,
    live: bool,
    looks_again: bool = True,
    too_many: Callable[[], int] | None = None,
) -> int:
    """Compare, list what differs and repair it if ``request`` says so; return the exit code.

    ``live``: the source changes, so differences are compared again before they count, unless that
    is not worth waiting for, because differences are certain and a repair does no harm.
    ``too_many``: what to do instead if more documents differ than are listed; it returns the exit
    code.
    """
    if request is not None:
        check_repairable(run_id, request, connections)
    most = bounds.MOST_DIFFERENCES
    verification = start_verification(run_id, connections, most, following=live)
    code = run_to_end(context, connections, verification, detach=False)
    state = connections.ledger.state(verification.run_id)
    if too_many and connections.ledger.progress(verification.run_id).differences > most:
        return too_many()
    if code == 0 or state not in FINISHED:
        return code
    if live and looks_again:
        context.console.print("Comparing the differences again...")
        patience = PATIENCE_SECONDS if request is None else PATIENCE_BEFORE_REPAIR_SECONDS
        left = look_again(connections, verification, patience)
        context.console.print(counted(left, "document still differs", "documents still differ"))
        if not left:
            return 1 if _schema_differences(connections, verification.run_id) else 0
    if request is None:
        return 1
    _list_differences(context, connections, verification.run_id)
    spec = start_repair(verification.run_id, request, connections)
    code = run_to_end(context, connections, spec, detach=False)
    return _with_unrepaired(context, connections, verification.run_id, code, schema=not live)


def reconcile_everything(context: CommandContext, connections: Connections, run_id: str) -> int:
    """Make the run that follows the source reconcile every key of both sides."""
    reconcile_every_key(connections.ledger, run_id)
    context.print_hint(
        f"More than {bounds.MOST_DIFFERENCES:,} documents differ, so every key of both sides is "
        f"reconciled. See what is left: dataworks cutover {run_id} --dry-run"
    )
    return 0


def _list_differences(context: CommandContext, connections: Connections, run_id: str) -> None:
    """Print the first differences before anything is changed."""
    if context.as_json:
        return
    count = connections.ledger.progress(run_id).failures
    for failure in islice(connections.ledger.failures(run_id), _LISTED):
        click.echo(f"  {failure.namespace}  {failure.document_id}  {failure.reason}")
    if count > _LISTED:
        more = f"  and {count - _LISTED:,} more: dataworks failures {run_id}"
        click.echo(context.pasteable(more))


def _schema_differences(connections: Connections, verification: str) -> list[RunNote]:
    """Return what differs of indexes, options and views."""
    notes = connections.ledger.progress(verification).notes
    return [note for note in notes if note.attention and note.topic in SCHEMA]


def _with_unrepaired(
    context: CommandContext,
    connections: Connections,
    verification: str,
    code: int,
    *,
    schema: bool,
) -> int:
    """Return 1 if a difference is left that no repair of documents corrects, else ``code``.

    These are differences without a known document and, with ``schema``, those of indexes, options
    and views.
    """
    ledger = connections.ledger
    unnamed = [
        f"not repaired: {failure.namespace}  {failure.document_id}  {failure.reason}"
        for failure in ledger.failures(verification)
        if not failure.bson_id
    ]
    left = unnamed[:_LISTED]
    if len(unnamed) > _LISTED:
        left.append(f"not repaired: {len(unnamed) - _LISTED:,} more")
    left += [
        f"{note}; a repair corrects documents only"
        for note in (_schema_differences(connections, verification) if schema else ())
    ]
    for line in left:
        context.console.print(line, markup=False, soft_wrap=True)
    return 1 if left and code == 0 else code
