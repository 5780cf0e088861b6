"""Every document of a batch gets settled, whatever the server answers on the way."""

from __future__ import annotations

import time
from collections.abc import Callable

import bson
import pytest

from dataworks_tasks.encoded_batch import EncodedBatch
from dataworks_tasks.errors import StoreUnavailable
from dataworks_tasks.namespace import Namespace
from dataworks_tasks.retry_policy import Backoff
from dataworks_tasks.run_spec import OnConflict
from dataworks_tasks.store.bulk_write import WritePolicy, write_batch
from dataworks_tasks.store.client import BaseDatabaseClient
from dataworks_tasks.store.config import DatabaseConfig
from dataworks_tasks.store.write_outcome import Rejection, WriteOutcome

NAMESPACE = Namespace("shop", "orders")
QUICK = WritePolicy(backoff=Backoff(base_seconds=0.0001, cap_seconds=0.001, tries=4))
Answer = Callable[[EncodedBatch], WriteOutcome]


class ScriptedClient(BaseDatabaseClient):
    """A client whose server answers as it is told, then takes everything."""

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
    with pytest.raises(StoreUnavailable, match=r"took no document in 5 tries: reset"):
        write_batch(ScriptedClient(*silence), NAMESPACE, batch(2), QUICK)


def test_progress_starts_the_count_of_tries_anew() -> None:
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


def test_at_the_deadline_the_rest_is_unsettled() -> None:
    client = ScriptedClient(lambda sent: WriteOutcome(2, throttled=(1, 3), delay_seconds=60.0))
    deadline = time.monotonic() + 1
    result = write_batch(client, NAMESPACE, batch(4), QUICK, deadline=deadline)
    assert (result.written, result.unsettled) == (2, [1, 3])


def test_the_pace_is_asked_before_every_send() -> None:
    asked: list[tuple[int, int]] = []
    client = ScriptedClient(lambda sent: WriteOutcome(2, retryable=(2,)))
    write_batch(client, NAMESPACE, batch(3), QUICK, lambda *amount: asked.append(amount))
    size = batch(1).size_bytes
    assert asked == [(3, 3 * size), (1, size)]


def test_the_policy_for_conflicts_is_fail_by_default() -> None:
    assert WritePolicy().on_conflict is OnConflict.FAIL
