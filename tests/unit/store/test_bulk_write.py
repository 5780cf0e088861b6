"""Every document of a batch gets completed, whatever the server answers on the way."""

from __future__ import annotations

import time
from collections.abc import Callable

import bson
import pytest

from dataworks_tasks.backoff import Backoff
from dataworks_tasks.documents.encoded_batch import EncodedBatch
from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.runs.choices import OnConflict
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.store.bulk_write import WritePolicy, WriteResult, write_batch
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.write_budget import Reservation
from dataworks_tasks.store.write_outcome import Rejection, WriteOutcome

NAMESPACE = Namespace("shop", "orders")
QUICK = WritePolicy(backoff=Backoff(base_seconds=0.0001, cap_seconds=0.001, tries=4))
Answer = Callable[[EncodedBatch], WriteOutcome]


class ScriptedClient(BaseDatabaseClient):
    """A client whose server gives the answers in the list, then accepts everything."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(DatabaseConfig.model_validate({"connection_string": "mongodb://none"}))
        self.answers = list(answers)
        self.sent: list[list[int]] = []

    def insert(self, namespace: Namespace, batch: EncodedBatch, write_concern: str) -> WriteOutcome:
        self.sent.append([bson.decode(document)["_id"] for document in batch.documents()])
        return self.answers.pop(0)(batch) if self.answers else WriteOutcome(len(batch))


def batch(count: int) -> EncodedBatch:
    return EncodedBatch.of(bson.encode({"_id": number}) for number in range(count))


def test_only_what_was_not_written_is_sent_again() -> None:
    client = ScriptedClient(
        lambda sent: WriteOutcome(len(sent) - 2, throttled=(1, 3), delay_seconds=0.001),
        lambda sent: WriteOutcome(1, retryable=(0,)),
    )
    result = write_batch(client, NAMESPACE, batch(5), QUICK)
    assert client.sent == [[0, 1, 2, 3, 4], [1, 3], [1]]
    assert (result.written, result.throttled_requests, result.retried_requests) == (5, 1, 1)


def test_throttling_never_runs_out_of_tries() -> None:
    refusals = [lambda sent: WriteOutcome.all_throttled(len(sent), "RetryAfterMs=1")] * 50
    result = write_batch(ScriptedClient(*refusals), NAMESPACE, batch(2), QUICK)
    assert (result.written, result.throttled_requests) == (2, 50)
    assert result.seconds_waited > 0


def test_a_server_that_never_answers_is_unavailable() -> None:
    silence = [lambda sent: WriteOutcome.nothing_known(len(sent), "reset")] * 10
    with pytest.raises(StoreUnavailable, match=r"did not accept a document in 5 tries: reset"):
        write_batch(ScriptedClient(*silence), NAMESPACE, batch(2), QUICK)


def test_progress_resets_the_count_of_tries() -> None:
    slow: list[Answer] = [
        lambda sent: WriteOutcome(1, retryable=tuple(range(1, len(sent)))) for _ in range(9)
    ]
    assert write_batch(ScriptedClient(*slow), NAMESPACE, batch(10), QUICK).written == 10


def test_a_refused_document_is_reported_with_its_place() -> None:
    client = ScriptedClient(
        lambda sent: WriteOutcome(1, throttled=(0, 1), rejected=(Rejection(3, 121, "too long"),)),
        lambda sent: WriteOutcome(1, rejected=(Rejection(1, 121, "too short"),)),
    )
    result = write_batch(client, NAMESPACE, batch(4), QUICK)
    assert {item.position: item.reason for item in result.failures} == {
        3: "too long (code 121)",
        1: "too short (code 121)",
    }


def test_at_the_deadline_the_rest_is_pending() -> None:
    client = ScriptedClient(lambda sent: WriteOutcome(2, throttled=(1, 3), delay_seconds=60.0))
    deadline = time.monotonic() + 1
    result = write_batch(client, NAMESPACE, batch(4), QUICK, deadline=deadline)
    assert (result.written, result.pending) == (2, [1, 3])


class RecordingLimiter:
    """Grants everything until it has granted ``grants`` times."""

    def __init__(self, grants: int = 100, at_once: int | None = None) -> None:
        self.grants = grants
        self.at_once = at_once
        self.reserved: list[tuple[int, int]] = []
        self.recorded: list[WriteOutcome] = []

    def max_documents(self, bytes_per_document: float) -> int | None:
        return self.at_once

    def reserve(
        self, documents: int, size_bytes: int, until: float | None = None
    ) -> Reservation | None:
        if len(self.reserved) == self.grants:
            return None
        self.reserved.append((documents, size_bytes))
        return Reservation(documents, 0.0)

    def record(self, reservation: Reservation, outcome: WriteOutcome) -> None:
        self.recorded.append(outcome)


def test_the_rate_limiter_is_asked_before_every_send_and_gets_the_outcome() -> None:
    rate_limiter = RecordingLimiter()
    client = ScriptedClient(lambda sent: WriteOutcome(2, retryable=(2,)))
    write_batch(client, NAMESPACE, batch(3), QUICK, rate_limiter)
    size = batch(1).size_bytes
    assert rate_limiter.reserved == [(3, 3 * size), (1, size)]
    assert [outcome.written for outcome in rate_limiter.recorded] == [2, 1]


def test_the_rate_limiter_bounds_a_write() -> None:
    client = ScriptedClient()
    write_batch(client, NAMESPACE, batch(7), QUICK, RecordingLimiter(at_once=3))
    assert client.sent == [[0, 1, 2], [3, 4, 5], [6]]


def test_what_the_budget_leaves_no_time_for_is_pending() -> None:
    rate_limiter = RecordingLimiter(grants=2, at_once=3)
    result = write_batch(ScriptedClient(), NAMESPACE, batch(8), QUICK, rate_limiter)
    assert (result.written, result.pending) == (6, [6, 7])
    assert list(result.completed_runs(8)) == [(0, 6)]


def test_completed_runs_leave_out_what_is_pending() -> None:
    assert list(WriteResult(pending=[0, 3, 4]).completed_runs(7)) == [(1, 3), (5, 7)]
    assert list(WriteResult().completed_runs(4)) == [(0, 4)]


def all_but(taken: int) -> Answer:
    return lambda sent: WriteOutcome(taken, throttled=tuple(range(taken, len(sent))))


def test_writes_of_which_little_was_taken_get_smaller_and_success_lets_them_grow() -> None:
    client = ScriptedClient(all_but(40), all_but(0))
    result = write_batch(client, NAMESPACE, batch(200), QUICK)
    assert result.written == 200
    assert [len(sent) for sent in client.sent] == [200, 100, 50, 50, 60]
    assert sorted(number for sent in client.sent[2:] for number in sent) == list(range(40, 200))


def test_after_a_small_refused_share_the_next_write_is_as_large() -> None:
    client = ScriptedClient(all_but(190))
    write_batch(client, NAMESPACE, batch(200), QUICK)
    write_batch(client, NAMESPACE, batch(200), QUICK)
    assert [len(sent) for sent in client.sent] == [200, 10, 200]


def test_a_small_refused_share_is_a_reason_for_a_short_pause_only() -> None:
    slow = WritePolicy(backoff=Backoff(base_seconds=1.0, cap_seconds=1.0))
    result = write_batch(ScriptedClient(all_but(999)), NAMESPACE, batch(1000), slow)
    assert result.seconds_waited <= 0.001


def test_what_is_too_large_together_goes_in_halves_until_one_is_left() -> None:
    def refused(sent: EncodedBatch) -> WriteOutcome:
        ids = [bson.decode(document)["_id"] for document in sent.documents()]
        return WriteOutcome.all_oversize(len(sent), "413") if 5 in ids else WriteOutcome(len(sent))

    client = ScriptedClient(*[refused] * 20)
    result = write_batch(client, NAMESPACE, batch(8), QUICK)
    assert result.written == 7
    assert [item.position for item in result.failures] == [5]


def test_a_document_over_the_limit_is_never_sent() -> None:
    client = ScriptedClient()
    documents = [bson.encode({"_id": 0}), bson.encode({"_id": 1, "v": "x" * 17_000_000})]
    result = write_batch(client, NAMESPACE, EncodedBatch.of(documents), QUICK)
    assert (client.sent, result.written) == ([[0]], 1)
    assert [item.position for item in result.failures] == [1]


def test_the_policy_for_conflicts_is_fail_by_default() -> None:
    assert WritePolicy().on_conflict is OnConflict.FAIL
