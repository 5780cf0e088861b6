"""``--on-conflict replace``, and a server that refuses some of the documents."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from dataworks_tasks.documents.raw_bson import TOLERANT
from tests.fleet import Fleet


@pytest.mark.situation(
    13,
    "`--on-conflict replace`, and the server refuses one document",
    before="`failed`, and `failures` is empty",
    now="that document's failure, the others are replaced, exit 4",
)
def test_refused_documents_are_failures_and_the_others_are_replaced(fleet: Fleet) -> None:
    source, target = fleet.mongo[fleet.database]["source"], fleet.mongo[fleet.database]["target"]
    documents: list[dict[str, Any]] = [{"_id": number, "new": number} for number in range(40)]
    documents[3] |= {"$in": [1], "$set": {"new": 7}}
    documents[11]["key"] = "taken"
    documents[12]["place"] = "nowhere"
    source.database.command(
        {
            "insert": "source",
            "documents": [RawBSONDocument(bson.encode(document)) for document in documents],
        }
    )
    target.insert_many({"_id": number, "old": True} for number in range(40))
    target.insert_one({"_id": "other", "key": "taken"})
    target.create_index("key", unique=True, sparse=True)
    target.create_index([("place", "2dsphere")])
    fleet.start_worker()
    arguments = ("--include", f"{fleet.database}.source", "--to", f"{fleet.database}.target")
    policy = ("--append", "--on-conflict", "replace", "--indexes", "none")
    done = fleet.run("migrate", *arguments, *policy, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    failures = {item.document_id: item.reason for item in fleet.ledger.failures(fleet.newest_run())}
    assert failures.keys() == {"11", "12"}
    assert "key_1" in failures["11"]
    assert "geo" in failures["12"]
    raw = target.with_options(TOLERANT.with_options(document_class=RawBSONDocument))
    found = {document["_id"]: document.raw for document in raw.find({"_id": {"$type": "number"}})}
    for number, document in enumerate(documents):
        refused = number in (11, 12)
        assert found[number] == bson.encode({"_id": number, "old": True} if refused else document)
    target.drop_index("key_1")
    assert fleet.run("retry", fleet.newest_run(), check=False).returncode == 4
    assert target.find_one({"_id": 11}) == documents[11]


def test_an_id_in_another_spelling_is_replaced_by_a_repair(fleet: Fleet) -> None:
    database = fleet.mongo[fleet.database]
    for name, key in (("source", "a"), ("target", "A")):
        database.create_collection(name, collation={"locale": "en", "strength": 2})
        database[name].insert_one({"_id": key, "of": name})
    fleet.start_worker()
    arguments = ("--include", f"{fleet.database}.source", "--to", f"{fleet.database}.target")
    done = fleet.run(
        "migrate", *arguments, "--append", "--on-conflict", "replace", "--json", check=False
    )
    assert done.returncode == 4, done.stdout + done.stderr
    run = fleet.newest_run()
    [failure] = fleet.ledger.failures(run)
    assert "another spelling" in failure.reason
    assert "verify --repair" in failure.reason
    fleet.run("verify", run, "--repair")
    assert list(database["target"].find()) == [{"_id": "a", "of": "source"}]
