"""What a run reports about its rules, on the command line with real workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dataworks_tasks.ledger.contract import RunState
from tests.fleet import Fleet, wait_until


@pytest.fixture
def target(fleet: Fleet) -> Iterator[str]:
    """Another database of this test's own."""
    name = f"{fleet.database}_copy"
    yield name
    fleet.mongo.drop_database(name)


def where(fleet: Fleet, target: str) -> tuple[str, ...]:
    return ("--include", f"{fleet.database}.users", "--to", f"{target}.users")


def fill(fleet: Fleet, documents: list[dict[str, Any]]) -> None:
    fleet.mongo[fleet.database]["users"].insert_many(documents)


@pytest.mark.situation(
    4,
    "`--mask emial=faker:email`",
    before="copied with the real values, verification equal, exit 0",
    now="refused with the nearest name, nothing is written, exit 2",
)
def test_a_mistyped_mask_is_refused_and_nothing_is_written(fleet: Fleet, target: str) -> None:
    fill(fleet, [{"_id": n, "email": f"u{n}@firm.test"} for n in range(10)])
    rules = ("--mask", "emial=faker:email", "--drop-field", "internal.notes")
    done = fleet.run("migrate", *where(fleet, target), *rules, "--drop", check=False)
    assert done.returncode == 2
    assert "--mask emial=faker:email matches nothing" in done.stderr
    assert "did you mean email?" in done.stderr
    assert "--drop-field internal.notes matches nothing" in done.stderr
    assert fleet.ledger.run_ids() == []
    assert target not in fleet.mongo.list_database_names()


@pytest.mark.situation(
    4,
    "what masks, drops, renames and sets did",
    before="not counted",
    now="counted rule by rule, in the table and as JSON",
)
def test_every_rule_says_what_it_did(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    documents = [
        {"_id": n, "email": f"u{n}@firm.test", "tags": ["a", "b"], "old": 1} for n in range(400)
    ]
    documents += [{"_id": n, "email": 5 if n % 2 else None} for n in range(400, 500)]
    fill(fleet, documents)
    rules = ("--mask", "email=faker:email", "--mask", "tags=faker:word", "--drop-field", "old")
    done = fleet.run("migrate", *where(fleet, target), *rules, "--set", "moved=true")
    assert "450 masked, 50 of them with another type before, 50 null or empty" in done.stdout
    run = fleet.run_json("status")
    assert run["remarks"] == []
    assert [(rule["rule"], rule["changed"], rule["matched"]) for rule in run["rules"]] == [
        ("--drop-field old", 400, 400),
        ("--set moved", 0, 500),
        ("--mask email=faker:email", 450, 500),
        ("--mask tags=faker:word", 800, 800),
    ]
    assert not [d for d in fleet.mongo[target]["users"].find() if "firm.test" in str(d["email"])]


@pytest.mark.situation(
    4,
    "a mask's path goes through values that are not documents",
    before="copied as they are, exit 0",
    now="counted as not reached, exit 4",
)
def test_values_that_no_mask_reached_are_exit_code_4(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    fill(fleet, [{"_id": n, "home": {"street": f"s{n}"}} for n in range(50)])
    fill(fleet, [{"_id": n, "home": f"street {n}"} for n in range(50, 60)])
    arguments = ("migrate", *where(fleet, target), "--mask", "home.street=faker:street_name")
    done = fleet.run(*arguments, check=False)
    assert done.returncode == 4
    assert "50 masked, 10 not reached" in done.stdout
    text = " ".join(done.stdout.split())
    assert "10 values on the path to the field are not documents; the content was copied" in text
    found = list(fleet.mongo[target]["users"].find({"home": {"$type": "string"}}))
    assert len(found) == 10


@pytest.mark.situation(
    4,
    "a rule that matched nothing in the complete run",
    before="`complete`, exit 0",
    now='"matched nothing", exit 4',
)
def test_a_rule_that_matched_nothing_is_exit_code_4(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    fill(fleet, [{"_id": n, "kind": "person", "email": f"u{n}@firm.test"} for n in range(20)])
    fill(fleet, [{"_id": n, "kind": "firm"} for n in range(20, 50)])
    only = ("--filter", '{"kind": "firm"}', "--mask", "email=faker:email")
    done = fleet.run("migrate", *where(fleet, target), *only, check=False)
    assert done.returncode == 4
    assert "--mask email=faker:email matched nothing in 30 documents" in done.stdout
    assert fleet.run("status", check=False).returncode == 4
    done = fleet.run("migrate", *where(fleet, target), *only, "--drop", "--allow-unmatched")
    assert "matched nothing" not in done.stdout


@pytest.mark.situation(
    4,
    "a filter that matched nothing in the complete run",
    before="`complete`, exit 0",
    now='"matched none", exit 4',
)
def test_a_filter_that_matched_nothing_is_exit_code_4(fleet: Fleet, target: str) -> None:
    fill(fleet, [{"_id": n, "kind": "a" if n else "b"} for n in range(50)])
    only = ("--filter", '{"kind": "b"}', "--detach")
    fleet.run("migrate", *where(fleet, target), *only)
    fleet.mongo[fleet.database]["users"].delete_one({"_id": 0})
    run_id = fleet.newest_run()
    fleet.start_worker(1)
    wait_until(lambda: fleet.ledger.state(run_id) is RunState.COMPLETE, "the run is complete")
    done = fleet.run("status", run_id, "--json", check=False)
    assert done.returncode == 4
    matched_none, changed = json.loads(done.stdout)["remarks"]
    assert matched_none == "--filter matched none of about 49 documents"
    assert "counted 1 write command" in changed


def test_rules_on_a_source_without_documents_are_no_failure(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    fleet.mongo[fleet.database].create_collection("users")
    only = ("--filter", '{"kind": "firm"}', "--mask", "email=faker:email")
    run = fleet.run_json("migrate", *where(fleet, target), *only)
    assert (run["documents"], run["remarks"]) == (0, [])


def test_a_rebuilt_run_knows_what_its_rules_did(fleet: Fleet, target: str) -> None:
    worker = fleet.start_worker(1)
    fill(fleet, [{"_id": n, "email": f"u{n}@firm.test", "home": "x"} for n in range(300)])
    rules = ("--mask", "email=faker:email", "--mask", "home.street=faker:word", "--allow-unmatched")
    done = fleet.run("migrate", *where(fleet, target), *rules, check=False)
    assert done.returncode == 4
    before = json.loads(fleet.run("status", "--json", check=False).stdout)
    run_id = fleet.newest_run()
    fleet.redis.flushdb()
    fleet.run("resume", run_id, "--rebuild", check=False)
    after = json.loads(fleet.run("status", run_id, "--json", check=False).stdout)
    assert after["rules"] == before["rules"]
    assert after["remarks"] == before["remarks"]
    assert worker.pid


def test_a_view_is_no_source_of_masked_documents(fleet: Fleet, target: str) -> None:
    database = fleet.mongo[fleet.database]
    fill(fleet, [{"_id": 1, "email": "u1@firm.test"}])
    database.create_collection("latest", viewOn="users", pipeline=[])
    view = ("--include", f"{fleet.database}.latest", "--to", f"{target}.latest")
    done = fleet.run("migrate", *view, "--mask", "email=faker:email", check=False)
    assert done.returncode == 2
    assert "Views have no documents of their own" in done.stderr
    fleet.start_worker(1)
    both = ("--include", f"{fleet.database}.*", "--map", f"{fleet.database}.*={target}.*")
    fleet.run("migrate", *both, "--mask", "email=faker:email", "--views")
    found = [document["email"] for document in fleet.mongo[target]["latest"].find()]
    assert len(found) == 1
    assert "firm.test" not in found[0]


def test_a_field_in_other_letters_is_said(fleet: Fleet, target: str) -> None:
    fleet.start_worker(1)
    fill(fleet, [{"_id": n, "email": f"u{n}@firm.test"} for n in range(20)])
    fill(fleet, [{"_id": n, "E_Mail": f"u{n}@firm.test"} for n in range(20, 25)])
    arguments = ("migrate", *where(fleet, target), "--mask", "email=faker:email")
    done = fleet.run(*arguments, check=False)
    assert done.returncode == 4
    text = " ".join(done.stdout.split())
    assert "E_Mail is in 5 of 25 sampled documents and copied as it is" in text
    assert fleet.run(*arguments, "--drop", "--allow-unmatched").returncode == 0
    fleet.run(*arguments, "--drop", "--mask", "E_Mail=faker:email")
    found = [str(document) for document in fleet.mongo[target]["users"].find()]
    assert not [text for text in found if "firm.test" in text]
