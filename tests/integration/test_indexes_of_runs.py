"""Indexes that could not be built: the run says so, and ``dataworks indexes`` builds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig
from tests.fleet import Fleet


@pytest.fixture
def target(fleet: Fleet) -> Iterator[str]:
    """Another database of this test's own."""
    name = f"{fleet.database}_copy"
    yield name
    fleet.mongo.drop_database(name)


def where(fleet: Fleet, target: str) -> tuple[str, ...]:
    return ("--include", f"{fleet.database}.*", "--map", f"{fleet.database}.*={target}.*")


def names(fleet: Fleet, database: str, collection: str) -> set[str]:
    return set(fleet.mongo[database][collection].index_information()) - {"_id_"}


def rows(output: str) -> dict[str, dict[str, Any]]:
    return {row["index"]: row for row in map(json.loads, output.splitlines())}


def fill(fleet: Fleet) -> None:
    database = fleet.mongo[fleet.database]
    database.users.insert_many(
        {"_id": n, "name": f"n{n}", "email": f"{n}@firm.test"} for n in range(40)
    )
    database.users.create_index("email", unique=True)
    database.users.create_index("name", unique=True, name="key")
    database.users.create_index([("name", 1), ("email", -1)])
    database.orders.insert_many({"_id": n} for n in range(10))
    database.orders.create_index("at")


@pytest.mark.situation(
    9,
    "an index that cannot be built",
    before="`failed` after the whole copy, later ones not tried, impossible advice",
    now="all are tried, those not built are listed, exit 4",
)
@pytest.mark.parametrize("policy", ["after", "before"])
def test_a_run_tries_every_index_and_ends_with_exit_code_4(
    fleet: Fleet, target: str, policy: str
) -> None:
    fleet.start_worker(1)
    fill(fleet)
    copies = fleet.mongo[target].users
    copies.insert_many([{"_id": n, "email": "twice@firm.test"} for n in (-1, -2)])
    copies.create_index("name", name="key", sparse=True)
    done = fleet.run("migrate", *where(fleet, target), "--append", "--indexes", policy, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "the index email_1 was not built" in text
    assert "twice@firm.test" in text
    assert "another index of that name, which differs in sparse, unique" in text
    assert f"dataworks indexes {fleet.newest_run()}" in text
    assert names(fleet, target, "users") == {"key", "name_1_email_-1"}
    assert names(fleet, target, "orders") == {"at_1"}
    status = json.loads(fleet.run("status", "--json", check=False).stdout)
    assert (status["state"], len(status["remarks"])) == ("complete", 2)

    run = fleet.newest_run()
    copies.delete_one({"_id": -2})
    done = fleet.run("indexes", run, "--json", check=False)
    assert done.returncode == 4
    found = rows(done.stdout)
    states = {name: row["state"] for name, row in found.items()}
    assert states == {
        "email_1": "built",
        "key": "not built",
        "name_1_email_-1": "present",
        "at_1": "present",
    }
    assert fleet.run("status", run, check=False).returncode == 4
    copies.drop_index("key")
    copies.delete_one({"_id": -1})
    assert "built" in fleet.run("indexes", run).stdout
    assert names(fleet, target, "users") == names(fleet, fleet.database, "users")
    assert fleet.run_json("status", run)["remarks"] == []
    assert {row["state"] for row in rows(fleet.run("indexes", run, "--json").stdout).values()} == {
        "present"
    }


def _of_indexes(fleet: Fleet, run: str) -> list[str]:
    """Return what a run says of its indexes, and nothing of what it left out."""
    notes = fleet.run_json("status", run)["notes"]
    assert not [note for note in notes if note["topic"] == "left out"]
    return [note["text"] for note in notes if note["topic"] == "indexes"]


@pytest.mark.situation(9, "building them later", before="no command", now="`dataworks indexes RUN`")
def test_indexes_can_be_built_later(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    fill(fleet)
    run = fleet.run_json("migrate", *where(fleet, target), "--indexes", "none")["run"]
    assert names(fleet, target, "users") == set()
    assert _of_indexes(fleet, run) == ["left out, because of --indexes none"]
    before = fleet.run_json("verify", run)
    fleet.run("indexes", run)
    assert names(fleet, target, "users") == names(fleet, fleet.database, "users")
    assert _of_indexes(fleet, run) == ["4 of 4 at the target"]
    after = fleet.run_json("verify", run)
    for check, equal in ((before, 0), (after, 4)):
        [said] = _of_indexes(fleet, check["run"])
        assert said.startswith(f"{equal} of 4 equal; differences do not count")


def test_only_a_migration_that_nobody_works_on_has_indexes_to_build(
    fleet: Fleet, target: str
) -> None:
    fleet.mongo[fleet.database].orders.insert_one({"_id": 1})
    fleet.run("migrate", *where(fleet, target), "--detach")
    done = fleet.run("indexes", fleet.newest_run(), check=False)
    assert done.returncode == 2
    assert "builds its indexes itself at the end" in done.stderr
    fleet.run("generate", "user_profile", "--total", 10, "--detach")
    done = fleet.run("indexes", fleet.newest_run(), check=False)
    assert "only a migration copies indexes" in done.stderr


@pytest.mark.situation(
    9,
    "unique indexes of a Cosmos DB account",
    before="refused on the filled collection",
    now="built before the documents",
)
def test_unique_indexes_of_a_cosmos_db_account_come_before_the_documents(
    fleet: Fleet, target: str, mongodb_url: str
) -> None:
    fill(fleet)
    fleet.mongo[fleet.database].users.create_index([("name", "text")])
    fleet.mongo[fleet.database].users.drop_index("key")
    with CosmosSimulator(SimulatorConfig(mongodb_url)) as simulator:
        fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = simulator.url
        fleet.start_worker(1, fleet.environment)
        done = fleet.run("migrate", *where(fleet, target), check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    text = " ".join(done.stdout.split())
    assert "the index name_text was not built" in text
    assert "email_1 was not built" not in text
    assert names(fleet, target, "users") == {"email_1", "name_1_email_-1"}
