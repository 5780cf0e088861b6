"""Keep two commands that start at the same moment from filling one collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dataworks_tasks.errors import LedgerUnavailable, UnknownName, UsageError
from dataworks_tasks.ledger.contract import Ledger
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import RunSpec

_STARTING_SECONDS = 60
"""A start that was killed before its run was recorded holds its targets for this long."""


@contextmanager
def claimed_targets(
    ledger: Ledger, spec: RunSpec, namespaces: Sequence[Namespace], *, shared: bool
) -> Iterator[None]:
    """Claim the targets of a run, which is on record at the end; they stay its own until it ends.

    ``shared``: the request says what to do with other documents. Otherwise raises UsageError when
    another run writes into one of them, or is about to.
    """
    names = {f"{spec.target_fingerprint} {namespace}": namespace for namespace in namespaces}
    held = ledger.targets.claim(spec.run_id, [*names], _STARTING_SECONDS, shared=shared)
    if held is not None:
        raise _in_use(ledger, names[held[0]], held[1])
    try:
        yield
    except LedgerUnavailable:
        raise  # the run may be on record: Redis can have stored what it did not answer
    except BaseException:
        ledger.targets.release(spec.run_id)
        raise


def _in_use(ledger: Ledger, namespace: Namespace, run_id: str) -> UsageError:
    try:
        state = ledger.state(run_id)
    except UnknownName:
        return UsageError(
            f"another command is starting a run into {namespace}",
            "Wait for that run, or add --append to keep its documents",
        )
    return UsageError(
        f"run {run_id}, which is {state}, writes into {namespace}",
        f"Wait until it ends, stop it with: dataworks cancel {run_id}, or add --append to keep "
        "its documents",
    )
