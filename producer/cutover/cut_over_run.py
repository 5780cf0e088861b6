"""Cut a run over from a program: the checklist, then every step, without asking anybody."""

from __future__ import annotations

from collections.abc import Callable

from dataworks_tasks.errors import RunFailed, UsageError
from dataworks_tasks.ledger.contract import RunProgress
from producer.connections import Connections
from producer.cutover.compared_differences import compared_differences
from producer.cutover.cut_over import CutOver
from producer.cutover.cut_over_request import CutOverRequest
from producer.cutover.end_cut_over import end_cut_over
from producer.drive.attach import stay
from producer.drive.observation import Observation, StopRequest
from producer.start.start_verification import start_verification


def cut_over_run(
    connections: Connections,
    run_id: str,
    request: CutOverRequest,
    say: Callable[[str], None],
    should_stop: Callable[[], StopRequest],
) -> RunProgress:
    """Cut the run over and return its last progress.

    ``say`` is called with a line for each step, and may raise to give up: the run then continues to
    follow. Raises UsageError when a check fails, or the error that stopped a step.
    """
    ledger = connections.ledger
    spec = ledger.spec(run_id)
    connections.check_servers(spec)
    if not end_cut_over(connections, spec):

        def verify_full() -> int:
            gone = cut_over.gone_collections()
            check = start_verification(run_id, connections, following=True, without=gone)
            compared = stay(connections, check, _ignore, should_stop)
            if compared is None or should_stop() is not StopRequest.NONE:
                raise RunFailed(
                    "the comparison was interrupted", f"Repeat: dataworks cutover {run_id}"
                )
            return compared_differences(compared, run_id)

        cut_over = CutOver(connections, spec, request, say, verify_full)
        failed = next((check for check in cut_over.checks() if not check.ok), None)
        if failed is not None:
            raise UsageError(
                f"run {run_id} cannot be cut over ({failed.name}: {failed.found})", failed.remedy
            )
        cut_over.run()
    return ledger.progress(run_id)


def _ignore(_observation: Observation) -> None:
    """Do nothing: nobody watches."""
