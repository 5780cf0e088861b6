"""Which statements of a bulk write are executed, and how the answer is assembled.

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
    """Decide which statements of ``command`` run. ``refused`` are those that never can."""
    charges = statement_charges(command.name, command.statements or EncodedBatch.of(()))
    limits = _Limits(charges, budget, faults)
    if command.body.get("ordered", True):
        return _admit_ordered(limits, refused)
    return _admit_unordered(limits, refused)


def _admit_ordered(limits: _Limits, refused: Errors) -> Admission:
    """Run the statements before the first error; that error is the only one."""
    end = min(refused, default=len(limits.charges))
    throttled = sorted(limits.faults.refused(range(end)))
    order = list(range(throttled[0] if throttled else end))
    by_dial = limits.dial_throttles(order)
    kept = len(order)
    if by_dial or throttled or not limits.affords(order):
        kept = limits.accepted_count(order, by_dial=by_dial)
    late = order[kept:] + throttled
    if not late:
        errors = {end: refused[end]} if end in refused else {}
        return Admission(order, errors, limits.charge(order))
    delay = limits.retry_after_ms(order[kept:], by_dial=by_dial or bool(throttled))
    charge = limits.charge(order[:kept])
    return Admission(order[:kept], _throttled(late[:1], delay), charge, len(late), delay)


def _admit_unordered(limits: _Limits, refused: Errors) -> Admission:
    """Run any statements: the budget refuses random ones, not the tail of the list."""
    candidates = [index for index in range(len(limits.charges)) if index not in refused]
    throttled = limits.faults.refused(candidates)
    order = [index for index in candidates if index not in throttled]
    by_dial = limits.dial_throttles(order)
    kept = len(order)
    if by_dial or throttled or not limits.affords(order):
        order = [order[position] for position in limits.faults.order(len(order))]
        kept = limits.accepted_count(order, by_dial=by_dial)
    late = order[kept:] + sorted(throttled)
    charge = limits.charge(order[:kept])
    if not late:
        return Admission(sorted(order), refused, charge)
    delay = limits.retry_after_ms(order[kept:], by_dial=by_dial or bool(throttled))
    errors = refused | _throttled(late, delay)
    return Admission(sorted(order[:kept]), errors, charge, len(late), delay)


def _throttled(indexes: Sequence[int], delay: int | None) -> Errors:
    text = throttled_text(delay)
    return {index: write_error(index, THROTTLED, text) for index in indexes}


@dataclass(frozen=True, slots=True)
class _Limits:
    """What throttles the statements of one bulk write: the budget, and the dials."""

    charges: Charges
    budget: RequestUnitBudget
    faults: Faults

    def charge(self, statements: Sequence[int]) -> float:
        return float(self.charges[statements].sum())

    def affords(self, statements: Sequence[int]) -> bool:
        return self.charge(statements) <= self.budget.available()

    def dial_throttles(self, statements: Sequence[int]) -> bool:
        """Return whether the dial for bulk writes throttles this one."""
        return bool(statements) and self.faults.happens(self.faults.dials.throttle_share)

    def accepted_count(self, order: Sequence[int], *, by_dial: bool) -> int:
        """Return how many of these run, in their order."""
        affordable = _affordable_count(self.charges[order], self.budget)
        return min(affordable, self.faults.accepted(len(order))) if by_dial else affordable

    def retry_after_ms(self, missing: Sequence[int], *, by_dial: bool) -> int | None:
        """Return when to send the ``missing`` statements again; None: the answer does not say."""
        delay = RETRY_AFTER_MS_WITHOUT_BUDGET
        if not by_dial:
            delay = self.budget.retry_after_ms(self.charge(missing))
        return self.faults.retry_after_ms(delay)


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
