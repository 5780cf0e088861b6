"""Anything that is put into the queue is refused with a log line, and the worker continues."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu import Producer
from pydantic import SecretStr

from dataworks_tasks.broker.create_app import create_app
from dataworks_tasks.broker.envelope import control_refusal, refusal
from dataworks_tasks.broker.messages import RangeMessage
from dataworks_tasks.errors import LedgerUnavailable
from dataworks_tasks.runs.batch_range import BatchRange
from dataworks_tasks.runs.spec import RunKind
from dataworks_tasks.settings import FrameworkConfig
from producer.drive.message_queue import MessageQueue
from producer.local.services import LocalServices
from tests.fleet import Fleet, wait_until
from tests.support.exact import check_exact, generate_arguments

ARGUMENTS = ["gen-20261122-142501-7f3a", 0, 100]
MESSAGE: dict[str, Any] = {
    "body": "",
    "content-encoding": "utf-8",
    "content-type": "application/json",
    "headers": {
        "lang": "py",
        "task": "dataworks.generate_range",
        "id": "54cade21-6628-4a19-ae3d-5533a663fbf8",
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": "54cade21-6628-4a19-ae3d-5533a663fbf8",
        "parent_id": None,
        "argsrepr": "gen-20261122-142501-7f3a[0:100)",
        "kwargsrepr": "{}",
        "origin": "gen1@host",
        "ignore_result": None,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    },
    "properties": {
        "correlation_id": "54cade21-6628-4a19-ae3d-5533a663fbf8",
        "reply_to": "e8091935-fa55-3f18-aefd-94e8b585af56",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "dataworks"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": "82bdbcb6-bb8a-4ff4-9cf4-1928b9ef87cb",
    },
}
NOTHING_EMBEDDED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def message(
    arguments: object = ARGUMENTS, embedded: object = NOTHING_EMBEDDED, **headers: object
) -> dict[str, Any]:
    made = deepcopy(MESSAGE)
    body = json.dumps([arguments, {}, embedded]).encode()
    made["body"] = base64.b64encode(body).decode()
    made["headers"] |= headers
    made["properties"]["delivery_tag"] = f"tag-{hash(repr((arguments, embedded, headers)))}"
    return made


def without(*path: str) -> dict[str, Any]:
    made = message()
    inside = made
    for name in path[:-1]:
        inside = inside[name]
    del inside[path[-1]]
    return made


REFUSED: dict[str, bytes] = {
    "bytes": b"\x00\xff\xfe garbage",
    "empty": b"",
    "text": b"hello",
    "number": b"17",
    "list": b"[1, 2]",
    "nested": b"[" * 50_000,
    "long number": b'{"properties": ' + b"9" * 5000 + b"}",
    "ten megabytes": json.dumps({"headers": "x" * 10_000_000}).encode(),
    "no properties": json.dumps(without("properties")).encode(),
    "no tag": json.dumps(without("properties", "delivery_tag")).encode(),
    "no delivery": json.dumps(without("properties", "delivery_info")).encode(),
    "no headers": json.dumps(without("headers")).encode(),
    "no id": json.dumps(without("headers", "id")).encode(),
    "headers a list": json.dumps({**message(), "headers": []}).encode(),
    "pickle": json.dumps({**message(), "content-type": "application/x-python-serialize"}).encode(),
    "body not base64": json.dumps({**message(), "body": "!!"}).encode(),
    "other object": json.dumps(
        message(extra={"__type__": "datetime", "__value__": "not a date"})
    ).encode(),
    "other task": json.dumps(message(task="celery.backend_cleanup")).encode(),
    "task a list": json.dumps(message(task=["dataworks.generate_range"])).encode(),
    "callbacks": json.dumps(
        message(embedded={"callbacks": [{"task": "dataworks.finish_run"}]})
    ).encode(),
    "keyword arguments": json.dumps(message(arguments={"run_id": 1})).encode(),
    "time limit": json.dumps(message(timelimit=[1e9, 1e9])).encode(),
    "far future": json.dumps(message(eta="9999-12-31T23:59:59+00:00")).encode(),
    "eta a number": json.dumps(message(eta=17)).encode(),
    "compressed": json.dumps(message(compression="application/x-gzip")).encode(),
    "too few": json.dumps(message(["gen-20261122-142501-7f3a"])).encode(),
    "finish of a range": json.dumps(message(task="dataworks.finish_run")).encode(),
    "retries": json.dumps(message(retries=10**30)).encode(),
}
"""Refused before Celery sees them."""

DROPPED: dict[str, dict[str, Any]] = {
    "unknown run": message(),
    "path for a run": message(["../../etc/passwd", 0, 100]),
    "number for a run": message([17, 0, 100]),
    "backwards": message(["gen-20261122-142501-7f3a", 100, 0]),
    "negative": message(["gen-20261122-142501-7f3a", -5, 10]),
    "truth values": message(["gen-20261122-142501-7f3a", False, True]),
    "texts": message(["gen-20261122-142501-7f3a", "0", "100"]),
    "huge": message(["gen-20261122-142501-7f3a", 0, 10**30]),
    "finish of nothing": message(["gen-20261122-142501-7f3a"], task="dataworks.finish_run"),
}
"""Well-formed, and refused by the tasks."""


def test_a_message_of_ours_is_accepted() -> None:
    assert refusal(json.dumps(message())) is None
    retried = message(eta="2026-11-23T00:00:00.5+00:00", retries=3, group=None)
    assert refusal(json.dumps(retried).encode()) is None


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_ours_is_refused(name: str) -> None:
    assert refusal(REFUSED[name]) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_and_any_json_are_refused_without_an_error(data: bytes) -> None:
    assert refusal(data) is not None


@settings(max_examples=300)
@given(st.sampled_from([*sorted(MESSAGE["headers"]), "new"]), JSON)
def test_any_header_is_refused_or_harmless(name: str, value: object) -> None:
    changed = message(**{name: value})
    if refusal(json.dumps(changed)) is None:
        assert changed["headers"]["task"] == "dataworks.generate_range"
        assert not changed["headers"]["expires"]
        assert set(changed["headers"]["timelimit"] or []) <= {None, 110}


@pytest.fixture
def log_of(local_services: LocalServices) -> Callable[[str], str]:
    return lambda name: local_services.log(name).read_text()


def order(body: object, **changes: object) -> bytes:
    made = {**message(), "headers": {"clock": 1, "expires": None}, **changes}
    return json.dumps(
        {**made, "body": base64.b64encode(json.dumps(body).encode()).decode()}
    ).encode()


PING: dict[str, Any] = {
    "method": "ping",
    "arguments": {},
    "destination": None,
    "pattern": None,
    "matcher": None,
}
NO_ORDERS: dict[str, bytes] = {
    "bytes": b"\xff garbage",
    "object": b'{"a": 1}',
    "list": b"[1]",
    "number": b"17",
    "no headers": order(PING, headers=None),
    "clock": order(PING, headers={"clock": "late"}),
    "no tag": order(PING, properties={}),
    "pickle": order(PING, **{"content-type": "application/x-python-serialize"}),
    "body a list": order([1, 2]),
    "no method": order({**PING, "method": None}),
    "other parts": order({**PING, "more": 1}),
    "arguments": order({**PING, "arguments": [1]}),
    "destination": order({**PING, "destination": 17}),
    "reply": order({**PING, "reply_to": {"exchange": 1}}),
    "two megabytes": order({**PING, "ticket": "x" * 2_000_000}),
}
"""Refused on the channel on which workers take orders."""


def test_an_order_is_accepted_and_garbage_is_not() -> None:
    assert control_refusal(order(PING), order=True) is None
    assert control_refusal(order([{"type": "worker-heartbeat"}]), order=False) is None
    for name, data in NO_ORDERS.items():
        assert control_refusal(data, order=True) is not None, name


def test_a_worker_outlives_whatever_is_in_the_queue(
    fleet: Fleet, log_of: Callable[[str], str]
) -> None:
    worker = fleet.start_worker(1)
    total = 5000
    run_id = str(fleet.run_json(*generate_arguments(fleet, total))["run"])
    other = [
        message([run_id, 0, 10**12]),
        message([run_id, total, total + 5]),
        message([run_id, 0, 10], task="dataworks.copy_range"),
    ]
    pile = [*REFUSED.values()]
    pile += [json.dumps(item).encode() for item in [*DROPPED.values(), *other]]
    fleet.redis.lpush("dataworks", *pile)
    channel = f"/{fleet.redis.get_connection_kwargs()['db']}.celery.pidbox"
    for data in NO_ORDERS.values():
        assert fleet.redis.publish(channel, data) == 1, "the worker listens"
    wait_until(lambda: not fleet.waiting(), "the queue is empty")
    again = fleet.run_json(*generate_arguments(fleet, total, collection="second"))
    check_exact(fleet, run_id, total)
    check_exact(fleet, str(again["run"]), total, "second")
    log = log_of(worker.name)
    assert log.count("a message in dataworks was rejected: ") == len(REFUSED)
    assert log.count("the message is dropped, nothing was written") >= len(DROPPED) - 1
    assert log.count("a message on the channel") == len(NO_ORDERS)
    assert log.count("Connected to redis") == 1, "it was never started again"
    assert "Traceback" not in log
    assert "OK    worker" in fleet.run("doctor").stdout, "it still takes orders"
    wait_until(lambda: not fleet.redis.hlen("unacked"), "nothing is left to be tried again")
    assert not fleet.redis.keys("dataworks:{gen-20261122*")


def test_a_channel_that_kombu_closed_itself(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when Redis goes away while a message's queue is declared."""
    app = create_app(FrameworkConfig(broker_url=SecretStr(redis_url)))
    queue = MessageQueue(app)
    piece = RangeMessage(RunKind.GENERATION, str(ARGUMENTS[0]), BatchRange(0, 100))
    piece.send(app, "dataworks")
    with monkeypatch.context() as patch:
        patch.setattr(Producer, "maybe_declare", lambda self, *_, **__: self.channel.close())
        with pytest.raises(LedgerUnavailable, match="closed"):
            piece.send(app, "dataworks")
    piece.send(app, "dataworks")
    assert queue.depth().waiting == 2
    app.close()
