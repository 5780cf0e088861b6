"""Compare what may have changed before a run began to follow, and print how it continues."""

from __future__ import annotations

import time
from threading import Event

from rich.markup import escape

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.spec import RunSpec
from producer.cli.shared.compare_and_repair import compare_and_repair, reconcile_everything
from producer.cli.shared.options import CommandContext
from producer.cli.shared.run_to_end import keep_run
from producer.connections import Connections
from producer.cutover.block_writes import allow_writes
from producer.drive.attach import set_going
from producer.resume.resync import is_resync_pending, resynced
from producer.resume.start_sync import SyncRequest, start_sync
from producer.start.start_repair import RepairRequest

_WORKER_SECONDS = 60.0
_LOOK_SECONDS = 0.1


def sync_run(
    context: CommandContext, connections: Connections, run_id: str, request: SyncRequest
) -> int:
    """Start following, after a full comparison if it is needed; return the exit code."""
    spec = start_sync(run_id, request, connections, allow_writes)
    keep_run(context, connections, spec)
    set_going(connections, spec)
    code = 0
    if is_resync_pending(connections.ledger, spec):
        code = _compare(context, connections, spec)
    _say(context, spec, code, _typed(run_id, request))
    return code


def _compare(context: CommandContext, connections: Connections, spec: RunSpec) -> int:
    """Find and repair what changed before the run's position."""
    _wait_for_worker(connections, spec)
    request = RepairRequest(delete_extra=True)
    code = compare_and_repair(
        context,
        connections,
        spec.run_id,
        request,
        live=True,
        looks_again=False,
        too_many=lambda: reconcile_everything(context, connections, spec.run_id),
    )
    if code == 0:
        resynced(connections.ledger, spec.run_id)
    return code


def _wait_for_worker(connections: Connections, spec: RunSpec) -> None:
    until = time.monotonic() + _WORKER_SECONDS
    while not connections.ledger.key_windows.is_copied(spec.run_id):
        if time.monotonic() > until:
            raise UsageError(
                f"no worker has started {spec.run_id}",
                "Start one: dataworks worker; then type this command again",
            )
        Event().wait(_LOOK_SECONDS)


def _typed(run_id: str, request: SyncRequest) -> str:
    return f"dataworks sync {run_id}{' --reverse' if request.reverse else ''}"


def _say(context: CommandContext, spec: RunSpec, code: int, typed: str) -> None:
    if context.as_json:
        context.print_json({"run": spec.run_id})
        return
    source, target = escape(spec.source_fingerprint or ""), escape(spec.target_fingerprint)
    context.console.print(f"[bold]{spec.run_id}[/bold]  follows {source}, and writes to {target}")
    if code:
        context.print_hint(f"Not everything is equal yet. Compare again: {typed}")
    context.print_hint(f"Watch it with: dataworks status {spec.run_id} --watch")
    context.print_hint(f"Finish it with: dataworks cutover {spec.run_id}")
