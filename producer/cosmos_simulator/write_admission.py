"""Which statements of a bulk write are executed, and the answer put together afterwards.

Cosmos DB answers a bulk write in part: statements that fit the budget are executed, the others
get a writeError each with their own index (docs/cosmos-facts.md section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from producer.cosmos_simulator.budget import RequestUnitBudget
from producer.cosmos_simulator.document_refusals import Errors, is_replacement
from producer.cosmos_simulator.faults import RETRY_AFTER_MS_WITHOUT_BUDGET, Faults
from producer.cosmos_simulator.request_units import (
    INSERT_1KB_RU,
    Charges,
    insert_charges,
    replace_charges,
)
from producer.cosmos_simulator.responses import THROTTLED, throttled_text, write_error
from producer.cosmos_simulator.wire import Command


@dataclass(frozen=True, slots=True)
class Admission:
    """What was decided about a bulk write."""

    admitted: Sequence[int]
    """Original indexes of the statements to execute, ascending."""

    errors: Errors
    """writeErrors of the others, by original index."""

    charge: float
    """RU of the admitted statements."""

    throttled: int = 0
    """How many statements the budget, or the dial, refused."""

    retry_after_ms: int | None = None
    """What the throttled errors say."""


def statement_charges(name: str, statements: EncodedBatch) -> Charges:
    """RU of each statement of an insert, update or delete."""
    if name == "insert":
        return insert_charges(np.diff(statements.offsets))
    if name == "delete":
        return np.full(len(statements), INSERT_1KB_RU)
    return replace_charges(np.array([_update_bytes(data) for data in statements.documents()]))


def _update_bytes(data: bytes) -> int:
    """Return the size of a replacement; an update by operators counts as 1 KB."""
    update = RawBSONDocument(data).get("u")
    return len(update.raw) if is_replacement(update) else 1024


def admit(
    command: Command, refused: Errors, budget: RequestUnitBudget, faults: Faults
) -> Admission:
    """Decide which statements of ``command`` run. ``refused`` are those that never can.

    An ordered write stops at its first error. An unordered one is executed in any order, so which
    statements the budget refuses is chance, not the tail of the list.
    """
    statements = command.statements or EncodedBatch.of(())
    ordered = bool(command.body.get("ordered", True))
    count = len(statements)
    stop = min(refused, default=count) if ordered else count
    candidates = [index for index in range(stop) if index not in refused]
    errors = {stop: refused[stop]} if ordered and stop in refused else dict(refused)
    charges = statement_charges(command.name, statements)
    by_chance = faults.refused(candidates)
    if by_chance:
        candidates = _before_first(candidates, by_chance, ordered=ordered)
    throttled_by_dial = bool(candidates) and faults.happens(faults.dials.throttle_share)
    total = float(charges[candidates].sum())
    if not (throttled_by_dial or by_chance) and total <= budget.available():
        return Admission(candidates, errors, total)
    order = candidates
    if not ordered:
        order = [candidates[position] for position in faults.order(len(candidates))]
    kept = _affordable_count(charges[order], budget)
    if throttled_by_dial:
        kept = min(kept, faults.accepted(len(order)))
    admitted = sorted(order[:kept])
    late = [*order[kept:], *sorted(by_chance)]
    if not late:
        return Admission(admitted, errors, total)
    missing = float(charges[order[kept:]].sum())
    delay = faults.retry_after_ms(
        RETRY_AFTER_MS_WITHOUT_BUDGET
        if throttled_by_dial or by_chance
        else budget.retry_after_ms(missing)
    )
    text = throttled_text(delay)
    reported = late[:1] if ordered else late
    throttled_errors = {index: write_error(index, THROTTLED, text) for index in reported}
    errors = throttled_errors if ordered else errors | throttled_errors
    return Admission(admitted, errors, total - missing, len(late), delay)


def _before_first(candidates: Sequence[int], refused: set[int], *, ordered: bool) -> list[int]:
    """Return those that are not refused; of an ordered write, only up to the first refusal."""
    stop = min(refused) if ordered else None
    return [
        index for index in candidates if index not in refused and (stop is None or index < stop)
    ]


def _affordable_count(charges: Charges, budget: RequestUnitBudget) -> int:
    fitting = int(np.searchsorted(np.cumsum(charges), budget.available(), side="right"))
    if fitting == 0 and len(charges) and budget.affordable(float(charges[0])):
        return 1
    return fitting


def merge_reply(command: Command, admission: Admission, reply: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mongod's answer for the admitted statements with the other errors.

    Statements have their original indexes.
    """
    merged = dict(reply)
    own = [_at(entry, admission) for entry in reply.get("writeErrors", [])]
    ordered = bool(command.body.get("ordered", True))
    others = [] if ordered and own else list(admission.errors.values())
    errors = sorted(own + others, key=lambda entry: int(entry["index"]))
    if errors:
        merged["writeErrors"] = errors
    if "upserted" in reply:
        merged["upserted"] = [_at(entry, admission) for entry in reply["upserted"]]
    return merged


def _at(entry: Mapping[str, Any], admission: Admission) -> dict[str, Any]:
    return {**dict(entry.items()), "index": admission.admitted[int(entry["index"])]}


def nothing_done(command: Command) -> dict[str, Any]:
    """Return the answer to a write without statements, which mongod would refuse to run."""
    modified = {"nModified": 0} if command.name == "update" else {}
    return {"n": 0, **modified, "ok": 1}
