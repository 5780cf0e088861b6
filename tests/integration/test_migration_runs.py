"""Migration runs by the command line, with real workers and servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet import Fleet

PLUGIN = '''
from dataworks_tasks import BaseMigrationStrategy, MigrationStrategyFactory


@MigrationStrategyFactory.register
class Halves(BaseMigrationStrategy):
    """Keeps every second document, and marks it."""

    name = "halves"

    def transform_document(self, document):
        if document["number"] % 2:
            return None
        return {**document, "kept": True}
'''


@pytest.fixture
def target(fleet: Fleet) -> Iterator[str]:
    """Another database of this test's own."""
    name = f"{fleet.database}_copy"
    yield name
    fleet.mongo.drop_database(name)


def fill(fleet: Fleet, collection: str, count: int) -> None:
    documents = [{"_id": n, "number": n, "email": f"u{n}@example.org"} for n in range(count)]
    fleet.mongo[fleet.database][collection].insert_many(documents)
    fleet.mongo[fleet.database][collection].create_index("number", unique=True)


def test_a_whole_database_is_copied_verified_and_indexed(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    fill(fleet, "orders", 3000)
    fill(fleet, "customers", 50)
    renaming = f"{fleet.database}.*={target}.*"
    arguments = ("migrate", "--include", f"{fleet.database}.*", "--map", renaming)
    done = fleet.run(*arguments, "--batch-size", 400, "--verify", "--json")
    run, check = (json.loads(line) for line in done.stdout.splitlines())
    assert (run["state"], run["documents"]) == ("complete", 3050)
    assert (check["kind"], check["state"], check["failures"]) == ("verification", "complete", 0)
    assert set(fleet.mongo[target].list_collection_names()) == {"orders", "customers"}
    assert fleet.mongo[target]["orders"].index_information()["number_1"]["unique"]


def test_one_changed_byte_is_found_and_named(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    fill(fleet, "orders", 1500)
    arguments = ("migrate", "--include", f"{fleet.database}.orders", "--to", f"{target}.orders")
    run = fleet.run_json(*arguments)["run"]
    fleet.mongo[target]["orders"].update_one({"_id": 777}, {"$set": {"email": "u777@example.orG"}})
    done = fleet.run("verify", run, "--json", check=False)
    assert done.returncode == 1
    check = json.loads(done.stdout.splitlines()[-1])
    row = json.loads(fleet.run("failures", check["run"], "--json").stdout)
    assert row["document_id"] == "777"
    assert "email" in row["reason"]


def test_a_dry_run_writes_nothing(fleet: Fleet, target: str) -> None:
    fill(fleet, "orders", 700)
    where = ("--include", f"{fleet.database}.orders", "--to", f"{target}.orders")
    found = fleet.run_json("migrate", *where, "--dry-run", "--batch-size", 100)
    assert (found["documents"], found["slices"], found["conflicts"]) == (700, 7, 0)
    assert fleet.mongo[target].list_collection_names() == []
    assert fleet.ledger.run_ids() == []


def test_fields_are_changed_on_the_way(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    fill(fleet, "orders", 500)
    where = ("--include", f"{fleet.database}.orders", "--to", f"{target}.orders")
    changes = ("--rename", "number=count", "--set", "moved=true", "--mask", "email=faker:email")
    query = ("--filter", '{"number": {"$gte": 100}}', "--indexes", "none")
    done = fleet.run("migrate", *where, *changes, *query, "--verify", "--json")
    assert json.loads(done.stdout.splitlines()[-1])["failures"] == 0
    found = list(fleet.mongo[target]["orders"].find().sort("_id"))
    assert len(found) == 400
    assert {tuple(document) for document in found} == {("_id", "count", "email", "moved")}
    assert not [item for item in found if item["email"] == f"u{item['_id']}@example.org"]


def test_a_strategy_in_python_drops_and_changes(fleet: Fleet, target: str, tmp_path: Path) -> None:
    plugin = tmp_path / "halves.py"
    plugin.write_text(PLUGIN)
    fleet.environment["FRAMEWORK_PLUGINS"] = str(plugin)
    fleet.start_worker(1)
    fill(fleet, "orders", 600)
    where = ("--include", f"{fleet.database}.orders", "--to", f"{target}.orders")
    assert "halves" in fleet.run("strategies").stdout
    run = fleet.run_json("migrate", *where, "--strategy", "halves")
    assert run["documents"] == 300
    assert fleet.mongo[target]["orders"].count_documents({"kept": True}) == 300


@pytest.mark.parametrize(
    ("policy", "code", "value"), [("fail", 4, "other"), ("skip", 4, "other"), ("replace", 0, 3)]
)
def test_conflicts_go_by_the_policy(
    fleet: Fleet, target: str, policy: str, code: int, value: object
) -> None:
    fleet.start_worker(1)
    fill(fleet, "orders", 50)
    fleet.mongo[target]["orders"].insert_one({"_id": 3, "number": "other"})
    where = ("--include", f"{fleet.database}.orders", "--to", f"{target}.orders", "--append")
    done = fleet.run("migrate", *where, "--on-conflict", policy, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    orders = fleet.mongo[target]["orders"]
    assert orders.count_documents({}) == 50
    found = orders.find_one({"_id": 3})
    assert found is not None
    assert found["number"] == value


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--include", "{db}.ordrs"], "Did you mean {db}.orders"),
        (["--include", "{db}.orders"], "onto itself"),
        (["--include", "orders"], "is not a namespace"),
        ([], "Add --include"),
        (["--include", "{db}.orders", "--to", "x.y", "--filter", "{{"], "filter"),
        (["--include", "{db}.orders", "--to", "x.y", "--strategy", "defalt"], "default"),
        (["--include", "{db}.orders", "--to", "x.y", "--detach", "--verify"], "--verify"),
    ],
)
def test_bad_requests_are_refused(fleet: Fleet, arguments: list[str], expected: str) -> None:
    fill(fleet, "orders", 5)
    filled = [argument.replace("{db}", fleet.database) for argument in arguments]
    done = fleet.run("migrate", *filled, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert expected.replace("{db}", fleet.database) in done.stderr
    assert fleet.ledger.run_ids() == []
