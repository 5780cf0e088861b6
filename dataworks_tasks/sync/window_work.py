"""Work through key windows: claim each, reconcile its keys, and yield the outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes
from dataworks_tasks.ledger.contract import (
    Acknowledgement,
    DocumentFailure,
    Ledger,
    RangeResult,
    WorkerReport,
)
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.ledger.key_windows import CompletedKeys, WindowOutcome
from dataworks_tasks.range_work import RunContext
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.lease import StopSignal
from dataworks_tasks.runs.spec import ClaimTimes
from dataworks_tasks.store.write_fence import WriteFence
from dataworks_tasks.sync.claims import Claim, ClaimHeld, ClaimKeeper, ClaimLost, ClaimTerms
from dataworks_tasks.sync.key_window import KeyWindow, session_id, windows_of
from dataworks_tasks.sync.reconcile import Hold, KeyRoute, Reconciled, failure_keys, reconcile

log = logging.getLogger(__name__)

_MOST_TRIES = 20
"""After this many tries, keys that change faster than a repair reconciles them are failures."""


@dataclass(frozen=True, slots=True)
class WindowRun:
    """How a run's windows are reconciled.

    ``route``: by window. ``hot``: keys that changed meanwhile go to the hot set, which is emptied
    about once a second; otherwise they become windows of their own. ``followed``: another run
    follows the source, so keys that never stop changing are left to it. ``twice``: the source may
    have answered with older data, so the keys of a new window go to the hot set in any case.
    ``counter``: the counter of the keys.
    """

    context: RunContext
    times: ClaimTimes
    route: Callable[[KeyWindow], KeyRoute]
    hot: bool = False
    followed: bool = False
    twice: bool = False
    counter: str = "keys"

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.context.spec.run_id


@dataclass(frozen=True, slots=True)
class CompletedWindow:
    """A reconciled window, to be acknowledged by the holder of its claim. See Completed."""

    keys: CompletedKeys

    @property
    def range(self) -> BatchRange:
        """The range of this one window."""
        return BatchRange(self.keys.number, self.keys.number + 1)

    @property
    def result(self) -> RangeResult:
        """What is counted."""
        return self.keys.result

    def with_result(self, result: RangeResult) -> CompletedWindow:
        """Return the same window with another result."""
        return CompletedWindow(replace(self.keys, result=result))

    @property
    def rest(self) -> bytes:
        """Return the window of the keys that are left; empty if all were reconciled."""
        return self.keys.outcome.rest

    def record(
        self, ledger: Ledger, run_id: str, worker: WorkerReport | None = None
    ) -> Acknowledgement:
        """Acknowledge the window, with what is to be reconciled after it."""
        return ledger.key_windows.checkpoint(run_id, self.keys, worker)


def work_on_windows(
    run: WindowRun, windows: Mapping[int, bytes], stop: StopSignal
) -> Iterator[CompletedWindow]:
    """Reconcile ``windows`` in order; those that another process has are left to it.

    A window that takes longer than this process may stay is acknowledged with the keys that were
    reconciled, and the others take its place: with few tokens a second, a window that began at its
    first key each time would never end.

    Raises ClaimHeld at the end if there were any, StoreUnavailable when source or target does not
    answer, and terminal errors.
    """
    held: list[int] = []
    terms = ClaimTerms(run.times.seconds, run.times.late_seconds)
    with ClaimKeeper(run.context.ledger.key_windows, run.run_id, terms) as keeper:
        for number, data in sorted(windows.items()):
            if stop.reached:
                return
            claim = keeper.claim(number, data)
            if claim is None:
                held.append(number)
                continue
            try:
                window = KeyWindow.from_bytes(data)
                worked = _work_on(run, window, claim, stop)
                if worked is None:
                    return
                yield CompletedWindow(CompletedKeys(number, data, *worked))
                keeper.done(claim)
            except ClaimLost as lost:
                log.warning("%s: %s; its next holder will repeat it", run.run_id, lost)
            finally:
                keeper.give_back_unless_done(claim)
    check_held(run.context, held)


def check_held(context: RunContext, numbers: Sequence[int]) -> None:
    """Raise ClaimHeld when one of the slices that could not be claimed is still to be done."""
    ledger, run_id = context.ledger, context.spec.run_id
    for number in numbers:
        if number in ledger.slices(run_id, BatchRange(number, number + 1)):
            raise ClaimHeld(f"another process works on slice {number}")


def _work_on(
    run: WindowRun, window: KeyWindow, claim: Claim, stop: StopSignal
) -> tuple[RangeResult, WindowOutcome] | None:
    """Reconcile a window; None if this process had to leave before any key was written."""
    route = run.route(window)
    hold = Hold(claim, _fence(run, claim), lambda: stop.reached)
    outcome = reconcile(route, window.keys, hold)
    claim.check()
    written = outcome.replaced + outcome.deleted
    if outcome.left and (not written or len(outcome.left) >= len(window.keys)):
        return None
    changed = tuple(outcome.changed)
    if changed and not run.hot and window.tries >= _MOST_TRIES:
        outcome.failures += _given_up(run, route, changed)
        changed = ()
    return (
        RangeResult(_counters(run, outcome), tuple(outcome.failures)),
        WindowOutcome(
            claim=claim.grant.claim,
            holder=claim.request.holder,
            late_seconds=run.times.late_seconds,
            appended=() if run.hot else _appended(window, changed),
            hot=_hot(run, window, changed, outcome) if run.hot else (),
            cleared=_cleared(run, route, window, outcome),
            unanswered=claim.unanswered,
            rest=replace(window, keys=tuple(outcome.left)).to_bytes() if outcome.left else b"",
        ),
    )


def _hot(
    run: WindowRun, window: KeyWindow, changed: Sequence[Element], outcome: Reconciled
) -> list[tuple[bytes, int]]:
    """Return the keys to be reconciled once more, soon and together.

    The owner of a refused document's unique value may be among them, from another window.
    """
    again = list(changed)
    if not window.tries:
        left = set(outcome.left)
        reconciled = [key for key in window.keys if key not in left]
        again = reconciled if run.twice else [*again, *outcome.duplicates]
    return [(hot_key(window.pair, key), window.pair) for key in again]


def _given_up(
    run: WindowRun, route: KeyRoute, changed: Sequence[Element]
) -> Iterator[DocumentFailure]:
    """Yield a failure for each key that never stops changing, unless a run follows it anyway."""
    if run.followed:
        return
    for key in changed:
        yield document_failure(
            route.target.namespace,
            assemble([element_bytes(key)]),
            "it changes at the source faster than it can be repaired",
        )


def _fence(run: WindowRun, claim: Claim) -> WriteFence | None:
    if not run.context.target.capabilities.fenced_writes:
        return None
    request = claim.request
    return WriteFence(session_id(run.run_id, request.number, request.data), claim.grant.claim)


def _appended(window: KeyWindow, changed: Sequence[Element]) -> tuple[bytes, ...]:
    again = replace(window, tries=window.tries + 1)
    return tuple(each.to_bytes() for each in windows_of(changed, again))


def _cleared(
    run: WindowRun, route: KeyRoute, window: KeyWindow, outcome: Reconciled
) -> tuple[str, ...]:
    """Return the names of failures that are over, of keys that are reconciled by now."""
    if not run.context.ledger.key_windows.has_failures(run.run_id):
        return ()
    failed = {failure.key for failure in outcome.failures}
    left = set(outcome.left)
    reconciled = [key for key in window.keys if key not in left]
    return tuple(key for key in failure_keys(route, reconciled) if key not in failed)


def _counters(run: WindowRun, outcome: Reconciled) -> dict[str, int]:
    counters = {
        run.counter: outcome.replaced + outcome.deleted,
        "keys_written": outcome.replaced,
        "keys_deleted": outcome.deleted,
        "keys_changed_again": len(outcome.changed),
        "bytes": outcome.bytes,
    }
    return {name: value for name, value in counters.items() if value}


def hot_key(pair: int, key: Element) -> bytes:
    """Encode a key of the hot set, the same for equal keys of one collection."""
    return pair.to_bytes(4, "big") + element_bytes(key, b"_id")


def read_hot_key(data: bytes) -> tuple[int, Element]:
    """Decode the collection pair and the key."""
    return int.from_bytes(data[:4], "big"), Element(data[4], b"_id", data[9:])
