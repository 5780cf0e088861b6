"""Partial success: each statement is executed or reported, under its own index."""

from __future__ import annotations

from typing import Any

import bson
from hypothesis import given, settings
from hypothesis import strategies as st

from dataworks_tasks.documents.encoded_batch import EncodedBatch
from producer.cosmos_simulator.budget import RequestUnitBudget
from producer.cosmos_simulator.config import FaultDials
from producer.cosmos_simulator.faults import Faults
from producer.cosmos_simulator.responses import write_error
from producer.cosmos_simulator.wire import Command
from producer.cosmos_simulator.write_admission import admit, merge_reply, statement_charges


def insert(count: int, ordered: bool) -> Command:
    batch = EncodedBatch.of(bson.encode({"_id": number}) for number in range(count))
    return Command(1, 0, {"insert": "c", "ordered": ordered, "$db": "d"}, batch)


def refused(indexes: set[int]) -> dict[int, dict[str, Any]]:
    return {index: write_error(index, 61, "refused") for index in indexes}


def frozen_budget(ru: float) -> RequestUnitBudget:
    return RequestUnitBudget(ru, clock=lambda: 0.0)


@settings(deadline=None)
@given(
    count=st.integers(1, 40),
    ru=st.floats(6, 300),
    bad=st.sets(st.integers(0, 39)),
    throttle=st.sampled_from([0.0, 0.5, 1.0]),
    single=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 5),
)
def test_unordered_every_statement_is_executed_or_reported_once(
    count: int, ru: float, bad: set[int], throttle: float, single: float, seed: int
) -> None:
    bad = {index for index in bad if index < count}
    dials = FaultDials(throttle_share=throttle, document_throttle_share=single, seed=seed)
    faults = Faults(dials)
    admission = admit(insert(count, ordered=False), refused(bad), frozen_budget(ru), faults)
    assert sorted([*admission.admitted, *admission.errors]) == list(range(count))
    assert bad <= set(admission.errors)
    assert all(entry["index"] == index for index, entry in admission.errors.items())
    assert admission.charge <= ru + 1e-6
    assert admission.throttled == len(admission.errors) - len(bad)


@settings(deadline=None)
@given(
    count=st.integers(1, 40),
    ru=st.floats(6, 300),
    bad=st.sets(st.integers(0, 39)),
    single=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_ordered_stops_at_the_first_error(
    count: int, ru: float, bad: set[int], single: float
) -> None:
    bad = {index for index in bad if index < count}
    faults = Faults(FaultDials(document_throttle_share=single))
    admission = admit(insert(count, ordered=True), refused(bad), frozen_budget(ru), faults)
    assert list(admission.admitted) == list(range(len(admission.admitted)))
    if len(admission.admitted) == count:
        assert not admission.errors
    else:
        assert list(admission.errors) == [len(admission.admitted)]


def test_which_documents_a_short_budget_refuses_is_not_the_tail() -> None:
    admission = admit(insert(100, False), {}, frozen_budget(275), Faults(FaultDials(seed=1)))
    assert len(admission.admitted) == 50
    assert list(admission.admitted) != list(range(50))


def test_replies_come_back_under_the_original_indexes() -> None:
    command = insert(6, ordered=False)
    admission = admit(command, refused({0, 3}), frozen_budget(1000), Faults(FaultDials()))
    reply = {"ok": 1, "n": 3, "writeErrors": [{"index": 2, "code": 11000, "errmsg": "duplicate"}]}
    merged = merge_reply(command, admission, reply)
    assert [(entry["index"], entry["code"]) for entry in merged["writeErrors"]] == [
        (0, 61),
        (3, 61),
        (4, 11000),
    ]
    upserted = merge_reply(command, admission, {"ok": 1, "n": 4, "upserted": [{"index": 0}]})
    assert upserted["upserted"] == [{"index": 1}]


def test_an_ordered_write_that_mongod_stopped_reports_no_later_error() -> None:
    command = insert(6, ordered=True)
    admission = admit(command, refused({4}), frozen_budget(1000), Faults(FaultDials()))
    reply = {"ok": 1, "n": 1, "writeErrors": [{"index": 1, "code": 11000}]}
    merged = merge_reply(command, admission, reply)
    assert [entry["index"] for entry in merged["writeErrors"]] == [1]


def test_updates_are_charged_as_two_inserts_of_the_replacement() -> None:
    replacement = {"q": {}, "u": {"pad": "x" * 4000}}
    operators = {"q": {}, "u": {"$set": {"pad": "x" * 4000}}}
    pipeline = {"q": {}, "u": [{"$set": {"a": 1}}]}
    batch = EncodedBatch.of(bson.encode(each) for each in (replacement, operators, pipeline))
    charges = statement_charges("update", batch)
    assert charges[0] > 12
    assert charges[1:].tolist() == [11, 11]
