"""The Python API on real servers: with workers, and in this process."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

import dataworks_tasks
import producer
from dataworks_tasks import (
    BaseDataGenerator,
    BaseMigrationStrategy,
    ConfigManager,
    FrameworkConfig,
    GeneratorType,
    MigrationStrategyFactory,
)
from dataworks_tasks.errors import RunFailed, UnknownName, UsageError
from dataworks_tasks.ledger.contract import RunState
from producer import (
    RunOptions,
    RunResult,
    RunStatus,
    create_generation_engine,
    create_migration_engine,
)
from producer.resume.spec_file import load_spec
from tests.fleet import Fleet, wait_until

PLUGIN = """
from dataworks_tasks import BaseDataGenerator, BaseMigrationStrategy, GeneratorType
from dataworks_tasks import MigrationStrategyFactory

class MyGenerator(BaseDataGenerator):
    def __init__(self):
        super().__init__(GeneratorType.CUSTOM)

    def generate_document(self, document_id=None):
        return {"number": document_id, "name": self.fake.name()}

@MigrationStrategyFactory.register
class Doubled(BaseMigrationStrategy):
    name = "doubled"

    def transform_document(self, document):
        return {**document, "number": document["number"] * 2}
"""


class MyGenerator(BaseDataGenerator):
    def __init__(self) -> None:
        super().__init__(GeneratorType.CUSTOM)

    def generate_document(self, document_id: int | None = None) -> Mapping[str, Any]:
        return {"number": document_id, "name": self.fake.name()}


class Doubled(BaseMigrationStrategy):
    name = "doubled"

    def transform_document(self, document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "number": document["number"] * 2}


@pytest.fixture(autouse=True)
def _strategies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MigrationStrategyFactory, "_known", {**MigrationStrategyFactory._known})


@pytest.fixture
def config(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> FrameworkConfig:
    """Read the settings as a user's program reads them."""
    source = {
        "FRAMEWORK_SOURCE_DB_NAME": fleet.database,
        "FRAMEWORK_SOURCE_DB_COLLECTION": "my_generator",
        "FRAMEWORK_TARGET_DB_COLLECTION": "copies",
    }
    monkeypatch.chdir(fleet.folder)
    for name, value in {**fleet.environment, **source}.items():
        monkeypatch.setenv(name, value)
    return ConfigManager("FRAMEWORK").load_config(".env_local")


@pytest.mark.parametrize("in_process", [True, False], ids=["in process", "workers"])
def test_generate_and_migrate(fleet: Fleet, config: FrameworkConfig, in_process: bool) -> None:
    if not in_process:
        plugin = fleet.folder / "plugin.py"
        plugin.write_text(PLUGIN)
        fleet.start_worker(1, {"FRAMEWORK_PLUGINS": str(plugin)})
    made, orders, copied = asyncio.run(_example(config, fleet.database, in_process))
    assert (orders.documents, orders.failures, orders.state) == (1000, 0, RunState.COMPLETE)
    assert orders.rate == pytest.approx(1000 / orders.seconds)
    assert fleet.ledger.state(orders.run_id) is RunState.COMPLETE
    target = fleet.mongo[fleet.database]
    assert target["orders"].count_documents({}) == 1000
    assert (made.documents, copied.documents) == (500, 500)
    numbers = sorted(document["number"] for document in target["copies"].find())
    assert numbers == [2 * number for number in range(500)]


async def _example(
    config: FrameworkConfig, database: str, in_process: bool
) -> list[producer.RunResult]:
    engine = create_generation_engine(config, in_process)
    engine.register_generator(MyGenerator())
    small = RunOptions(batch_size=300)
    made = await engine.generate_data(
        GeneratorType.CUSTOM, 500, f"{database}.my_generator", 7, small
    )
    orders = await engine.generate_data(
        GeneratorType.SERVICE_ORDER, 1000, f"{database}.orders", options=small
    )
    migration = create_migration_engine(config, in_process)
    migration.set_migration_strategy(Doubled())
    copied = await migration.migrate()
    return [made, orders, copied]


def test_a_cancelled_call_leaves_a_run_that_is_resumed(
    fleet: Fleet, config: FrameworkConfig
) -> None:
    engine = create_generation_engine(config, in_process=True)
    namespace = f"{fleet.database}.orders"

    async def cancel_in_the_middle() -> str:
        slow = RunOptions(batch_size=500, max_rate=5_000)
        run = asyncio.create_task(
            engine.generate_data("service_order", 10_000, namespace, options=slow)
        )
        run_id = await asyncio.to_thread(fleet.newest_run)
        await asyncio.to_thread(fleet.wait_for_share, run_id, 0.1)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        return run_id

    run_id = asyncio.run(cancel_in_the_middle())
    progress = fleet.ledger.progress(run_id)
    assert progress.state is RunState.RUNNING
    assert 0 < progress.acknowledged < 10_000
    # What `dataworks resume --rebuild` needs when Redis has lost the run.
    assert load_spec(run_id, None) == fleet.ledger.spec(run_id)
    assert asyncio.run(engine.resume(run_id)).documents == 10_000
    assert fleet.mongo[fleet.database]["orders"].count_documents({}) == 10_000


def test_a_run_that_stops_raises_its_reason(fleet: Fleet, config: FrameworkConfig) -> None:
    refuse = {"status": {"$exists": False}}
    fleet.mongo[fleet.database].create_collection("orders", validator=refuse)
    engine = create_generation_engine(config, in_process=True)
    options = RunOptions(max_failures=10)
    with pytest.raises(RunFailed, match="more than the 10 allowed"):
        asyncio.run(
            engine.generate_data("service_order", 100, f"{fleet.database}.orders", options=options)
        )
    assert fleet.ledger.state(fleet.newest_run()) is RunState.FAILED


def test_a_custom_type_without_a_generator_is_refused(config: FrameworkConfig) -> None:
    with pytest.raises(UnknownName, match="register_generator"):
        asyncio.run(create_generation_engine(config).generate_data(GeneratorType.CUSTOM, 5))


def test_waiting_for_workers_is_said(
    fleet: Fleet, config: FrameworkConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        engine = create_generation_engine(config)
        waiting = asyncio.create_task(
            engine.generate_data("service_order", 10, f"{fleet.database}.orders")
        )
        said = "no worker is running"
        await asyncio.to_thread(wait_until, lambda: said in caplog.text, said)
        waiting.cancel()
        await asyncio.wait([waiting])

    asyncio.run(run())
    assert len(caplog.records) == 1


def test_all_names_are_there() -> None:
    for package in (dataworks_tasks, producer):
        assert [name for name in package.__all__ if not hasattr(package, name)] == []


NOTEBOOK = """
result = await engine.generate_data("service_order", 3000, f"{database}.cells", seed=1,
                                    options=RunOptions(batch_size=500), progress=seen.append)
status = await engine.status(result.run_id)
check = await engine.verify(result.run_id)
changed = collection.update_one({}, {"$set": {"extra": 1}})
differs = await engine.verify(result.run_id)
"""


def test_a_notebook_awaits_looks_and_verifies(config: FrameworkConfig, fleet: Fleet) -> None:
    """Cells are compiled with top-level await and run in a loop that is running already."""
    seen: list[RunStatus] = []
    cell = {
        "engine": create_generation_engine(config, in_process=True),
        "RunOptions": RunOptions,
        "database": fleet.database,
        "collection": fleet.mongo[fleet.database]["cells"],
        "seen": seen,
    }

    async def kernel() -> None:
        code = compile(NOTEBOOK, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        await eval(code, cell)  # noqa: S307 - as a notebook does

    asyncio.run(kernel())
    result, status, check, differs = (cell[n] for n in ("result", "status", "check", "differs"))
    assert isinstance(result, RunResult)
    assert (result.state, result.documents, result.is_good) == (RunState.COMPLETE, 3000, True)
    assert isinstance(status, RunStatus)
    assert (status.documents, status.share, status.is_over) == (3000, 1.0, True)
    assert [one.documents for one in seen] == sorted(one.documents for one in seen)
    assert len({one.documents for one in seen}) > 2
    assert seen[-1].run_id == result.run_id
    assert isinstance(check, RunResult)
    assert (check.documents, check.is_good) == (3000, True)
    assert isinstance(differs, RunResult)
    assert (differs.state, differs.failures) == (RunState.DIFFERENT, 1)


JUPYTER = (
    """
import os
from dataworks_tasks import ConfigManager
from producer import create_generation_engine
config = ConfigManager("FRAMEWORK").load_config()
engine = create_generation_engine(config, in_process=True)
seen = []
""",
    """
result = await engine.generate_data(
    "service_order", 2000, os.environ["CELLS"], seed=3, progress=lambda status: seen.append(status)
)
result
""",
    "await engine.verify(result.run_id)",
    "print(seen[-1].share)",
)


def test_a_jupyter_kernel_awaits_and_shows_tables(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs: pip install nbclient ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="needs: pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="needs: pip install nbclient ipykernel")
    for name, value in {**fleet.process_environment(), "CELLS": f"{fleet.database}.cells"}.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in JUPYTER])
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": fleet.folder}}
    ).execute()
    shown = [output for cell in notebook.cells for output in cell.outputs]
    tables = [output.data["text/html"] for output in shown if output.output_type != "stream"]
    assert len(tables) == 2
    assert all("<table>" in table and "2,000" in table for table in tables)
    assert [output.text for output in shown if output.output_type == "stream"] == ["1.0\n"]
    assert fleet.mongo[fleet.database]["cells"].count_documents({}) == 2000


def test_a_program_pauses_and_resumes(config: FrameworkConfig, fleet: Fleet) -> None:
    fleet.start_worker(1)

    async def program() -> RunResult:
        engine = create_generation_engine(config)
        options = RunOptions(batch_size=500, max_rate=4000)
        run = engine.generate_data("service_order", 8000, f"{fleet.database}.p", options=options)
        running = asyncio.ensure_future(run)
        run_id = await asyncio.to_thread(fleet.newest_run)
        await asyncio.to_thread(fleet.wait_for_share, run_id, 0.1)
        await engine.pause(run_id)
        left = await running
        assert left.state is RunState.PAUSED
        assert (await engine.status(run_id)).state is RunState.PAUSED
        return await engine.resume(run_id)

    assert asyncio.run(program()).state is RunState.COMPLETE
    assert fleet.mongo[fleet.database]["p"].count_documents({}) == 8000


@pytest.mark.parametrize(
    ("what", "total", "words"),
    [
        ({"fields": {}}, 10, "not a dict.*ends in .json"),
        ("service_order", "1000", "total is '1000', a str.*total=1_000_000"),
        ("service_order", 1.5, "total is 1.5, a float"),
        ("service_order", True, "total is True, a bool"),
        (["service_order"], 10, "not a list"),
    ],
)
def test_what_python_lets_through_is_refused(
    config: FrameworkConfig, what: Any, total: Any, words: str
) -> None:
    engine = create_generation_engine(config, in_process=True)
    with pytest.raises(UsageError, match=words):
        asyncio.run(engine.generate_data(what, total))


async def _later(_status: object) -> None:
    """Have to be awaited."""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"seed": "7"}, "seed is '7', a str.*seed=7"),
        ({"options": {"drop": True}}, "options is a dict.*RunOptions"),
        ({"options": RunOptions}, "options is a class"),
        ({"progress": 3}, "progress is of type int.*plain function"),
        ({"progress": _later}, "progress is a coroutine function"),
    ],
)
def test_arguments_of_another_type_are_refused(
    config: FrameworkConfig, more: Any, words: str
) -> None:
    engine = create_generation_engine(config, in_process=True)
    with pytest.raises(UsageError, match=words):
        asyncio.run(engine.generate_data("service_order", 10, **more))


def test_a_migration_takes_a_request_only(config: FrameworkConfig) -> None:
    engine = create_migration_engine(config, in_process=True)
    with pytest.raises(UsageError, match=r"request is a str.*MigrationRequest"):
        asyncio.run(engine.migrate("shop.*"))  # type: ignore[call-overload]
