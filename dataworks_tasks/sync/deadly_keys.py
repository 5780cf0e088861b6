"""Find the key of a window whose document kills every worker, and continue without it.

A window is split until the key is alone; then the key is recorded as a failure. A generation run
makes its documents in batches: those of one batch fail together, because nothing says which one is
deadly.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dataworks_tasks.documents.raw_bson import Element, assemble, element_bytes
from dataworks_tasks.ledger.contract import DocumentFailure, Ledger, RangeResult
from dataworks_tasks.ledger.document_failure import document_failure
from dataworks_tasks.ledger.key_windows import ClaimRequest, CompletedKeys, WindowOutcome
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.sync.key_window import KeyWindow, is_key_window
from dataworks_tasks.sync.window_work import CompletedWindow, WindowRun

_PARTS = 10
_DEATHS, _DEATHS_ALONE = 2, 3
_DIED = "every worker that tried it"


def isolate_window(run: WindowRun, number: int, deaths: int) -> CompletedWindow | None:
    """Return window ``number`` in parts, or its key as a failure, to be recorded.

    None if it may be tried unchanged, another process has it, or it is done.
    """
    data = run.context.ledger.slices(run.run_id, BatchRange(number, number + 1)).get(number)
    if data is None or not is_key_window(data):
        return None
    window = KeyWindow.from_bytes(data)
    is_last_part = len(window.keys) == 1 or window.index is not None
    if deaths < (_DEATHS_ALONE if is_last_part else _DEATHS):
        return None
    late = run.times.late_seconds
    holder = secrets.token_hex(8)
    request = ClaimRequest(number, data, holder, run.times.seconds, late)
    grant = run.context.ledger.key_windows.claim(run.run_id, request)
    if grant is None:
        return None
    failures = _failures(run, window, deaths) if is_last_part else []
    parts = [] if is_last_part else [part.to_bytes() for part in _parts(window)]
    outcome = WindowOutcome(grant.claim, holder, late, parts, isolated=True)
    return CompletedWindow(CompletedKeys(number, data, RangeResult({}, failures), outcome))


def _parts(window: KeyWindow) -> Iterable[KeyWindow]:
    size = -(-len(window.keys) // _PARTS)
    for first in range(0, len(window.keys), size):
        yield replace(window, keys=window.keys[first : first + size])


def _failures(run: WindowRun, window: KeyWindow, deaths: int) -> list[DocumentFailure]:
    which = _DIED if len(window.keys) == 1 else f"{_DIED} or another document of its batch"
    namespace = run.route(window).target.namespace
    return [
        document_failure(
            namespace, assemble([element_bytes(key)]), f"{which} died ({deaths} of {deaths})"
        )
        for key in window.keys
    ]


def deadly_keys(ledger: Ledger, run_id: str) -> Mapping[str, set[str]]:
    """Return the keys that may not be tried again: by collection, ``_id``s as hexadecimal BSON."""
    found: dict[str, set[str]] = {}
    for failure in ledger.failures(run_id):
        if failure.reason.startswith(_DIED) and failure.bson_id:
            found.setdefault(failure.namespace, set()).add(failure.bson_id)
    return found


def without_deadly(keys: Sequence[Element], deadly: set[str]) -> list[Element]:
    """Return the keys that may be tried."""
    return [key for key in keys if element_bytes(key, b"_id").hex() not in deadly]
