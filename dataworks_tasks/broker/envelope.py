"""Whether something in the queue is a message that DataWorks itself could have sent.

Anyone who can write to Redis can put anything there. Kombu and Celery trust what they read: bytes
that are not JSON end a worker, and an envelope can ask for callbacks, other tasks or other limits.
So every message is checked before they see it, and one that is not ours is dropped with a reason.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dataworks_tasks.broker.celery_settings import FINISH_SECONDS, FIRST, LATER, TASK_SECONDS
from dataworks_tasks.broker.messages import DRIVE_RUN, FINISH_RUN, TASK_OF

MOST_BYTES = 64 * 1024
"""Ours have about 1,100."""
MOST_CONTROL_BYTES = 1024 * 1024
"""Workers send their events in batches."""
_LATEST_CLOCK = 2**53
_PARTS_OF_AN_ORDER = frozenset(
    {"method", "arguments", "destination", "pattern", "matcher", "reply_to", "ticket"}
)
_TASKS = frozenset({*TASK_OF.values(), FINISH_RUN, DRIVE_RUN})
_NEWER_TASK = re.compile(r"dataworks\.[a-z_]{1,40}")
"""A task of a newer version; see ``worker.newer_tasks``."""
_LATEST = timedelta(hours=1)
_FORBIDDEN = ("compression", "shadow", "expires", "group", "replaced_task_nesting")
_TEXTS = ("id", "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin")
_LONGEST_TEXT = 300
_ARGUMENTS = {FINISH_RUN: 1, DRIVE_RUN: 2}
_RANGE_ARGUMENTS = 3


def refusal(data: bytes | str) -> str | None:
    """Return why ``data`` is refused; None if it is valid.

    The reason does not quote the message.
    """
    if len(data) > MOST_BYTES:
        return f"it has {len(data):,} bytes, ours have at most {MOST_BYTES:,}"
    try:
        message = json.loads(data, object_hook=_plain)
        _expect(isinstance(message, dict), "it is not a JSON object")
        _check_properties(_mapping(message, "properties"))
        _check_headers(_mapping(message, "headers"))
        _check_body(message)
    except _Refused as refused:
        return str(refused)
    except (ValueError, RecursionError):
        return "it cannot be read"
    return None


def control_refusal(data: bytes | str, *, order: bool) -> str | None:
    """Return why a pub/sub message is neither an event nor (if ``order``) a control command.

    Celery reconnects when it receives one that it cannot read. None if the message is valid.
    """
    if len(data) > MOST_CONTROL_BYTES:
        return f"it has {len(data):,} bytes, ours have at most {MOST_CONTROL_BYTES:,}"
    try:
        message = json.loads(data, object_hook=_plain)
        _expect(isinstance(message, dict), "it is not a JSON object")
        _check_properties(_mapping(message, "properties"))
        clock = _mapping(message, "headers").get("clock", 0)
        _expect(
            type(clock) is int and 0 <= clock <= _LATEST_CLOCK,
            "its clock is not a non-negative integer",
        )
        body = _body(message)
        if order:
            _check_order(body)
    except _Refused as refused:
        return str(refused)
    except (ValueError, RecursionError):
        return "it cannot be read"
    return None


def _check_order(body: Any) -> None:
    _expect(isinstance(body, dict), "it is not a control command")
    _expect(set(body) <= _PARTS_OF_AN_ORDER, "it has unexpected keys")
    _expect(_is_text(body.get("method")), "it names no command")
    _expect(isinstance(body.get("arguments") or {}, dict), "its arguments are not an object")
    for name in ("pattern", "matcher", "ticket"):
        _expect(body.get(name) is None or _is_text(body[name]), f"its {name} is not a string")
    wanted = body.get("destination") or []
    _expect(
        isinstance(wanted, list) and all(map(_is_text, wanted)), "its destination is not a list"
    )
    answer = body.get("reply_to") or {"exchange": "", "routing_key": ""}
    _expect(isinstance(answer, dict), "its reply_to is not an object")
    for name in ("exchange", "routing_key"):
        _expect(_is_text(answer.get(name)), f"its reply_to has no {name}")


class _Refused(Exception):
    """What is wrong with a message."""


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Refused(otherwise)


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse JSON with ``__type__``: kombu makes other objects of it, and fails when it cannot."""
    _expect("__type__" not in value, "it asks for an object of another type")
    return value


def _mapping(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = message.get(name)
    if not isinstance(value, dict):
        raise _Refused(f"its {name} are not an object")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def _check_properties(properties: Mapping[str, Any]) -> None:
    _expect(_is_text(properties.get("delivery_tag")), "it has no delivery tag")
    _expect(properties.get("body_encoding") == "base64", "its body is not base64")
    _expect(
        properties.get("priority") in (None, FIRST, LATER), "its priority is not one of DataWorks"
    )
    info = _mapping(properties, "delivery_info")
    for name in ("exchange", "routing_key"):
        _expect(_is_text(info.get(name)), f"its {name} is not a short text")


def _check_headers(headers: Mapping[str, Any]) -> None:
    task = headers.get("task")
    _expect(
        isinstance(task, str) and (task in _TASKS or _NEWER_TASK.fullmatch(task) is not None),
        "it does not name a task of DataWorks",
    )
    _expect(_is_text(headers.get("id")), "it has no id")
    for name in _TEXTS:
        _expect(headers.get(name) is None or _is_text(headers[name]), f"its {name} is not a string")
    for name in _FORBIDDEN:
        _expect(not headers.get(name), f"it asks for {name}")
    own_limit = TASK_SECONDS if task in TASK_OF.values() else FINISH_SECONDS
    for limit in _limits(headers.get("timelimit")):
        _expect(
            limit in (None, TASK_SECONDS, own_limit), "its time limits are not those of DataWorks"
        )
    _expect(not headers.get("stamped_headers") and not headers.get("stamps"), "it has stamps")
    _expect(
        headers.get("ignore_result") in (None, True, False), "its ignore_result is not a boolean"
    )
    retries = headers.get("retries", 0)
    _expect(type(retries) is int and 0 <= retries <= 1000, "its retries are not a small number")
    _check_start(headers.get("eta"))


def _limits(value: object) -> list[object]:
    if value is None:
        return []
    _expect(isinstance(value, list), "its time limits are not a list")
    return list(value)  # type: ignore[call-overload, no-any-return]


def _check_start(eta: object) -> None:
    if eta is None:
        return
    _expect(_is_text(eta), "its eta is not a string")
    moment = datetime.fromisoformat(str(eta))
    _expect(
        moment.tzinfo is not None and moment.year > 2000,
        "its eta is not a timezone-aware timestamp",
    )
    _expect(moment < datetime.now(UTC) + _LATEST, "its eta is hours away")


def _body(message: Mapping[str, Any]) -> Any:
    _expect(message.get("content-type") == "application/json", "its body is not JSON")
    _expect(message.get("content-encoding") == "utf-8", "its body is not UTF-8")
    text = b64decode(str(message.get("body")), validate=True)
    return json.loads(text, object_hook=_plain)


def _check_body(message: Mapping[str, Any]) -> None:
    body = _body(message)
    _expect(isinstance(body, list) and len(body) == 3, "its body is not arguments and options")
    arguments, keywords, embedded = body
    _expect(isinstance(arguments, list), "its arguments are not a list")
    task = message["headers"]["task"]
    if task in _TASKS:
        wanted = _ARGUMENTS.get(task, _RANGE_ARGUMENTS)
        _expect(len(arguments) == wanted, "it has too few or too many arguments")
    _expect(all(isinstance(a, str | int) for a in arguments), "its arguments are not plain values")
    _expect(keywords == {}, "it has keyword arguments")
    _expect(isinstance(embedded, dict) and not any(embedded.values()), "it embeds other work")
