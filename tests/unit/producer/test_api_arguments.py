"""Mistakes in arguments of the Python API: refused in one line, without any server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.runs.choices import Priority
from dataworks_tasks.settings import FrameworkConfig
from producer.api.check_type import checked
from producer.api.generation_engine import create_generation_engine
from producer.api.migration_engine import create_migration_engine
from producer.start.run_request import MigrationRequest, RunOptions
from producer.view.run_result import RunResult

_RESULT = RunResult("gen-1", RunState.COMPLETE, 1, 1, 1.0, 0)


def _refusal(call: Callable[[], Coroutine[Any, Any, object]]) -> str:
    with pytest.raises(UsageError) as caught:
        asyncio.run(call())
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_rate": "4k"}, "options.max_rate is a str: input should be a valid number"),
        ({"batch_size": "10k"}, "options.batch_size is a str: input should be a valid integer"),
        ({"priority": "urgent"}, "options.priority is a str: input should be 'low', 'normal' or"),
        ({"on_error": "no"}, "options.on_error is a str: input should be 'stop' or 'skip'"),
        ({"run_name": 5}, "options.run_name is an int: input should be a valid string"),
        ({"write_concern": 1}, "options.write_concern is an int: input should be a valid string"),
    ],
)
def test_an_option_of_the_wrong_type_is_refused(options: dict[str, Any], said: str) -> None:
    engine = create_generation_engine(FrameworkConfig())
    found = _refusal(lambda: engine.generate_data("shop", options=RunOptions(**options)))
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("request_fields", "said"),
    [
        ({"include": "shop.people"}, "request.include is a str: input should be a valid tuple"),
        ({"mappings": "a.*=b.*"}, "request.mappings is a str: input should be a valid tuple"),
        ({"filter": {"number": 5}}, "request.filter is a dict: input should be a valid string"),
        ({"to": ("opt", "c")}, "request.to is a tuple: input should be a valid string"),
        ({"indexes": "later"}, "request.indexes is a str: input should be 'after', 'before' or"),
        ({"partitioner": "foo"}, "unknown partitioner 'foo'. Known: auto,"),
        ({"on_ddl": "go"}, "unknown on_ddl 'go'. Known: follow, ignore, stop"),
    ],
)
def test_a_request_of_the_wrong_type_is_refused(request_fields: dict[str, Any], said: str) -> None:
    engine = create_migration_engine(FrameworkConfig())
    found = _refusal(lambda: engine.migrate(MigrationRequest(**request_fields)))
    assert found.startswith(said)


def test_a_run_is_named_by_its_id_and_not_by_its_result() -> None:
    engine: Any = create_generation_engine(FrameworkConfig())
    for call in (engine.verify, engine.status, engine.resume, engine.pause):
        said = _refusal(lambda call=call: call(_RESULT))  # type: ignore[misc]
        assert said == "a run is named by its id, not by a RunResult. Give its run_id"
    said = _refusal(lambda: engine.generate_data("shop", 5, ("shop", "orders")))
    assert said.startswith("a namespace is a string, not a tuple")


def test_words_and_lists_are_taken_for_choices_and_tuples() -> None:
    options = checked("options", RunOptions(priority="high"), RunOptions)  # type: ignore[arg-type]
    assert options.priority is Priority.HIGH
    request = MigrationRequest(include=["a.b"], transform={"drop": ["c"]})  # type: ignore[arg-type]
    found = checked("request", request, MigrationRequest)
    assert (found.include, found.transform.drop) == (("a.b",), ("c",))
