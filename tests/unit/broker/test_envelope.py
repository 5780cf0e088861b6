"""Every guard of an envelope: what DataWorks sends passes, and each change of it does not."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataworks_tasks.broker.celery_settings import FINISH_SECONDS, FIRST, LATER, TASK_SECONDS
from dataworks_tasks.broker.envelope import (
    MOST_BYTES,
    MOST_CONTROL_BYTES,
    control_refusal,
    refusal,
)

Message = dict[str, Any]
RANGE = ["gen-1", 0, 10]
CALLS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
LONG = "x" * 301


def encoded(body: object) -> str:
    return b64encode(json.dumps(body).encode()).decode()


def message(task: str = "dataworks.generate_range", body: object = None) -> Message:
    """Return a message as Celery sends it."""
    return {
        "body": encoded([RANGE, {}, CALLS] if body is None else body),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": "11",
            "shadow": None,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": "11",
            "parent_id": None,
            "argsrepr": "shop.orders[0:10)",
            "kwargsrepr": "{'run': 'gen-1'}",
            "origin": "gen1@host",
            "ignore_result": True,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        },
        "properties": {
            "correlation_id": "11",
            "reply_to": "9",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "dataworks"},
            "priority": LATER,
            "body_encoding": "base64",
            "delivery_tag": "7",
        },
    }


def said(changed: object) -> str | None:
    return refusal(json.dumps(changed).encode())


def put(*path: str, value: object) -> Callable[[Message], None]:
    def change(one: Message) -> None:
        for name in path[:-1]:
            one = one[name]
        one[path[-1]] = value

    return change


def without(*path: str) -> Callable[[Message], None]:
    def change(one: Message) -> None:
        for name in path[:-1]:
            one = one[name]
        del one[path[-1]]

    return change


def header(name: str, value: object) -> Callable[[Message], None]:
    return put("headers", name, value=value)


def prop(name: str, value: object) -> Callable[[Message], None]:
    return put("properties", name, value=value)


def body(value: object) -> Callable[[Message], None]:
    return put("body", value=encoded(value))


def starts_in(minutes: float) -> Callable[[Message], None]:
    def change(one: Message) -> None:
        moment = datetime.now(UTC) + timedelta(minutes=minutes)
        one["headers"]["eta"] = moment.isoformat()

    return change


GOOD: list[Callable[[Message], None]] = [
    lambda _one: None,
    starts_in(50),
    header("eta", "2001-01-01T00:00:00+00:00"),
    header("retries", 1000),
    without("headers", "retries"),
    header("timelimit", None),
    header("timelimit", [TASK_SECONDS, None]),
    header("ignore_result", False),
    header("ignore_result", None),
    header("argsrepr", "x" * 300),
    header("argsrepr", None),
    prop("priority", FIRST),
    prop("priority", None),
    body([["gen-1", "0", 10], {}, {}]),
]


@pytest.mark.parametrize("change", GOOD)
def test_what_dataworks_sends_passes(change: Callable[[Message], None]) -> None:
    one = message()
    change(one)
    assert said(one) is None


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("dataworks.generate_range", RANGE),
        ("dataworks.copy_range", RANGE),
        ("dataworks.verify_range", RANGE),
        ("dataworks.repair_range", RANGE),
        ("dataworks.finish_run", ["gen-1"]),
        ("dataworks.drive_run", ["gen-1", "plan"]),
    ],
)
def test_each_task_has_its_arguments(task: str, arguments: list[object]) -> None:
    assert said(message(task, [arguments, {}, CALLS])) is None
    for wrong in ([*arguments, 1], arguments[:-1]):
        found = said(message(task, [wrong, {}, CALLS]))
        assert found == "it has too few or too many arguments"


def test_finishing_and_driving_may_take_longer() -> None:
    for task, arguments in (("finish_run", ["g"]), ("drive_run", ["g", "s"])):
        one = message(f"dataworks.{task}", [arguments, {}, CALLS])
        one["headers"]["timelimit"] = [FINISH_SECONDS, TASK_SECONDS]
        assert said(one) is None
    one = message()
    one["headers"]["timelimit"] = [FINISH_SECONDS, None]
    assert said(one) == "its time limits are not those of DataWorks"


NO_OBJECT = "its {} are not an object"
BAD: list[tuple[Callable[[Message], None], str]] = [
    (without("properties"), NO_OBJECT.format("properties")),
    (put("headers", value=[]), NO_OBJECT.format("headers")),
    (without("properties", "delivery_tag"), "it has no delivery tag"),
    (prop("delivery_tag", LONG), "it has no delivery tag"),
    (prop("body_encoding", "utf-8"), "its body is not base64"),
    (prop("priority", 4), "its priority is not one of DataWorks"),
    (without("properties", "delivery_info"), NO_OBJECT.format("delivery_info")),
    (put("properties", "delivery_info", "exchange", value=1), "its exchange is not a short text"),
    (
        without("properties", "delivery_info", "routing_key"),
        "its routing_key is not a short text",
    ),
    (header("task", "celery.chord"), "it does not name a task of DataWorks"),
    (header("task", ["dataworks.finish_run"]), "it does not name a task of DataWorks"),
    (header("id", None), "it has no id"),
    (header("id", LONG), "it has no id"),
    *[
        (header(name, 5), f"its {name} is not a string")
        for name in ("root_id", "parent_id", "argsrepr", "kwargsrepr", "origin")
    ],
    *[
        (header(name, "something"), f"it asks for {name}")
        for name in ("compression", "shadow", "expires", "group", "replaced_task_nesting")
    ],
    (header("timelimit", 5), "its time limits are not a list"),
    (header("timelimit", [None, 5]), "its time limits are not those of DataWorks"),
    (header("timelimit", [1, None]), "its time limits are not those of DataWorks"),
    (header("stamps", {"a": 1}), "it has stamps"),
    (header("stamped_headers", ["a"]), "it has stamps"),
    (header("ignore_result", "yes"), "its ignore_result is not a boolean"),
    (header("retries", -1), "its retries are not a small number"),
    (header("retries", 1001), "its retries are not a small number"),
    (header("retries", True), "its retries are not a small number"),
    (header("retries", "1"), "its retries are not a small number"),
    (header("eta", 5), "its eta is not a string"),
    (header("eta", "2030-01-01T00:00:00"), "its eta is not a timezone-aware timestamp"),
    (header("eta", "1999-01-01T00:00:00+00:00"), "its eta is not a timezone-aware timestamp"),
    (header("eta", "2000-12-31T00:00:00+00:00"), "its eta is not a timezone-aware timestamp"),
    (starts_in(61), "its eta is hours away"),
    (header("eta", "tomorrow"), "it cannot be read"),
    (put("content-type", value="application/x-python-serialize"), "its body is not JSON"),
    (put("content-encoding", value="binary"), "its body is not UTF-8"),
    (put("body", value="not base64!"), "it cannot be read"),
    (put("body", value=b64encode(b"{").decode()), "it cannot be read"),
    (body({"a": 1}), "its body is not arguments and options"),
    (body([RANGE, {}]), "its body is not arguments and options"),
    (body(["gen", {}, {}]), "its arguments are not a list"),
    (body([["gen-1", 0, None], {}, {}]), "its arguments are not plain values"),
    (body([["gen-1", 0, 1.5], {}, {}]), "its arguments are not plain values"),
    (body([RANGE, {"run": 1}, {}]), "it has keyword arguments"),
    (body([RANGE, {}, {"callbacks": ["x"]}]), "it embeds other work"),
    (body([RANGE, {}, []]), "it embeds other work"),
    (
        body([RANGE, {}, {"__type__": "x", "__value__": 1}]),
        "it asks for an object of another type",
    ),
    (header("__type__", "x"), "it asks for an object of another type"),
]


@pytest.mark.parametrize(("change", "reason"), BAD)
def test_each_other_message_is_refused(change: Callable[[Message], None], reason: str) -> None:
    one = message()
    change(one)
    assert said(one) == reason


def test_what_is_no_message_at_all() -> None:
    assert refusal(b"\x00") == "it cannot be read"
    assert refusal("[]") == "it is not a JSON object"
    assert refusal("[" * 50_000) == "it cannot be read"
    assert refusal(b" " * (MOST_BYTES + 1)) == "it has 65,537 bytes, ours have at most 65,536"
    text = json.dumps(message())
    assert refusal(text + " " * (MOST_BYTES - len(text))) is None


def control(body: object = None) -> Message:
    """Return a control command as Celery broadcasts it."""
    one = message()
    one["headers"] = {"clock": 5}
    command = {
        "method": "ping",
        "arguments": {},
        "destination": None,
        "pattern": None,
        "matcher": None,
        "ticket": "3",
        "reply_to": {"exchange": "reply.celery.pidbox", "routing_key": "1"},
    }
    one["body"] = encoded(command if body is None else body)
    return one


def heard(one: object, *, order: bool = True) -> str | None:
    return control_refusal(json.dumps(one).encode(), order=order)


def test_commands_and_events_pass() -> None:
    assert heard(control()) is None
    assert heard(control({"method": "ping"})) is None
    assert heard(control({"method": "ping", "destination": ["celery@a"]})) is None
    event = control([{"type": "worker-heartbeat"}])
    assert heard(event, order=False) is None
    assert heard(event) == "it is not a control command"
    quiet = control()
    quiet["headers"] = {}
    assert heard(quiet) is None


@pytest.mark.parametrize("clock", [-1, 2**53 + 1, True, "5", None])
def test_a_clock_is_a_number(clock: object) -> None:
    one = control()
    one["headers"]["clock"] = clock
    assert heard(one) == "its clock is not a non-negative integer"


@pytest.mark.parametrize("clock", [0, 2**53])
def test_clocks_have_their_limits(clock: int) -> None:
    one = control()
    one["headers"]["clock"] = clock
    assert heard(one) is None


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"method": "ping", "code": "x"}, "it has unexpected keys"),
        ({"arguments": {}}, "it names no command"),
        ({"method": LONG}, "it names no command"),
        ({"method": "ping", "arguments": [1]}, "its arguments are not an object"),
        ({"method": "ping", "pattern": 1}, "its pattern is not a string"),
        ({"method": "ping", "matcher": []}, "its matcher is not a string"),
        ({"method": "ping", "ticket": {}}, "its ticket is not a string"),
        ({"method": "ping", "destination": "celery@a"}, "its destination is not a list"),
        ({"method": "ping", "destination": [1]}, "its destination is not a list"),
        ({"method": "ping", "reply_to": "x"}, "its reply_to is not an object"),
        ({"method": "ping", "reply_to": {"routing_key": "1"}}, "its reply_to has no exchange"),
        ({"method": "ping", "reply_to": {"exchange": "1"}}, "its reply_to has no routing_key"),
    ],
)
def test_each_other_command_is_refused(command: Message, reason: str) -> None:
    assert heard(control(command)) == reason


def test_what_is_no_broadcast_at_all() -> None:
    assert control_refusal(b"\x00", order=True) == "it cannot be read"
    assert control_refusal("[]", order=True) == "it is not a JSON object"
    most = MOST_CONTROL_BYTES
    found = control_refusal(b" " * (most + 1), order=False)
    assert found == "it has 1,048,577 bytes, ours have at most 1,048,576"
    text = json.dumps(control())
    assert control_refusal(text + " " * (most - len(text)), order=True) is None
    assert heard(put_away(control(), "properties")) == "its properties are not an object"
    assert heard(put_away(control(), "headers")) == "its headers are not an object"


def put_away(one: Message, name: str) -> Message:
    del one[name]
    return one
