"""``migrate --dry-run`` and ``plan --include``: what will not arrive unchanged, and the time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from producer.cosmos_simulator import CosmosSimulator, SimulatorConfig
from producer.estimate.measured_copy import SAMPLE_COLLECTION
from tests.fleet import Fleet

NOW = datetime.now(UTC)


@pytest.fixture
def target(fleet: Fleet) -> Iterator[str]:
    """Another database of this test's own."""
    name = f"{fleet.database}_copy"
    yield name
    fleet.mongo.drop_database(name)


@pytest.fixture
def source(fleet: Fleet) -> Database[dict[str, Any]]:
    return fleet.mongo[fleet.database]


@pytest.fixture
def cosmos(fleet: Fleet, mongodb_url: str) -> Iterator[None]:
    """Make a simulated Cosmos DB account with request units the target."""
    with CosmosSimulator(SimulatorConfig(mongodb_url)) as simulator:
        fleet.environment["FRAMEWORK_TARGET_DB_CONNECTION_STRING"] = simulator.url
        yield


def assess(fleet: Fleet, target: str, *arguments: object) -> dict[str, Any]:
    where = ("--include", f"{fleet.database}.*", "--map", f"{fleet.database}.*={target}.*")
    done = fleet.run(
        "migrate", *where, *arguments, "--dry-run", "--measure", "0.5", "--json", check=False
    )
    assert done.returncode in (0, 4), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == (4 if found["concerns"] else 0)
    assert fleet.ledger.run_ids() == []
    return found


def concerns(found: dict[str, Any]) -> list[str]:
    return [f"{c['what']} | {c['why']} | {c['remedy']}" for c in found["concerns"]]


def the(found: dict[str, Any], *words: str) -> str:
    """Return the one concern that has all the words."""
    matching = [text for text in concerns(found) if all(word in text for word in words)]
    assert len(matching) == 1, (words, concerns(found))
    return matching[0]


def test_nothing_to_say_is_exit_code_0(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.orders.insert_many({"_id": n, "a": n} for n in range(300))
    source.orders.create_index("a", unique=True)
    found = assess(fleet, target)
    assert found["concerns"] == []
    assert (found["documents"], found["written"]) == (300, False)
    assert target not in fleet.mongo.list_database_names()


@pytest.mark.situation(
    10,
    "`--dry-run` of a run that cannot begin",
    before="nothing",
    now="each reason with the flag to use",
)
def test_what_keeps_a_run_from_beginning(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.orders.insert_many({"_id": n, "email": f"{n}@firm.test"} for n in range(50))
    fleet.mongo[target].orders.insert_one({"_id": 1})
    found = assess(fleet, target, "--mask", "emial=faker:email")
    assert "--append" in the(found, "already holds 1 document")
    assert "did you mean email?" in the(found, "--mask emial=faker:email matches nothing")
    fleet.mongo.drop_database(target)
    fleet.mongo[target.upper()].other.insert_one({})
    try:
        found = assess(fleet, target)
        assert "--map" in the(found, target.upper(), "differs only in case")
        assert all(item["refused"] for item in found["concerns"])
        found = assess(fleet, target, "--write-sample")
        the(found, "the sample", "could not be written: the target accepted none of 50 documents")
        assert not found["written"]
    finally:
        fleet.mongo.drop_database(target.upper())


@pytest.mark.situation(
    10,
    "`--dry-run` with views, time series and capped collections",
    before="nothing",
    now="a line for each",
)
def test_collections_that_are_more_than_documents(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.create_collection("sensors", timeseries={"timeField": "t"})
    source.sensors.insert_one({"t": NOW, "v": 1})
    source.orders.insert_one({"_id": 1, "v": 1})
    source.create_collection("latest", viewOn="orders", pipeline=[])
    source.create_collection("log", capped=True, size=4096)
    fleet.mongo[target].create_collection("log", capped=True, size=8192)
    found = assess(fleet, target, "--drop-field", "v")
    assert "--views" in the(found, "the view", "latest")
    assert f"--exclude {fleet.database}.sensors" in the(found, "time series", "--drop-field v")
    assert "Add --drop to create it" in the(found, "size of", "log", "other options")
    found = assess(
        fleet, target, "--drop-field", "v", "--views", "--exclude", "*.sensors", "--drop"
    )
    assert concerns(found) == []


@pytest.mark.situation(
    10,
    "`--dry-run` with names that the target refuses (`a..b`)",
    before="nothing",
    now="a line for each",
)
def test_names_that_are_refused(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.orders.insert_one({"_id": 1})
    source.command({"insert": "a..b", "documents": [{"_id": 1}]})
    long = "x" * (255 - len(fleet.database) - 1)
    source.create_collection(long)
    found = assess(fleet, target, "--mask", "emial=faker:email")
    the(found, "the run", "emial")  # what else is wrong is still looked for
    assert "--exclude" in the(found, f"{fleet.database}.a..b", "empty parts")
    assert "--map" in the(found, long, "at most 255 bytes")
    assert found["documents"] == 1


@pytest.mark.situation(
    10, "`--dry-run` with indexes that the target refuses", before="nothing", now="a line for each"
)
def test_indexes_that_will_not_be_there(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.people.insert_many(
        {"_id": n, "name": f"n{n}", "email": f"{n}@firm.test", "old": n, "gone": n}
        for n in range(30)
    )
    for field in ("name", "email", "gone"):
        source.people.create_index(field, unique=True)
    source.people.create_index("old")
    source.people.create_index("at", name="key")
    fleet.mongo[target].people.create_index("at", name="key", sparse=True)
    rules = ("--mask", "name=faker:name", "--mask", "email=faker:email")
    more = ("--rename", "old=new", "--drop-field", "gone")
    found = assess(fleet, target, *rules, *more)
    assert "faker:uuid4" in the(found, "the index name_1", "only a few thousand different values")
    assert "accepts only one document" in the(found, "the index gone_1", "is dropped")
    assert "Build one on new" in the(found, "the index old_1", "called new")
    assert "differs in sparse" in the(found, "the index key", "another index of that name")
    assert len(found["concerns"]) == 4
    assert assess(fleet, target, *rules, *more, "--indexes", "none")["concerns"] == []


@pytest.mark.situation(
    10,
    "`--dry-run` with a TTL index that would delete during the copy",
    before="nothing",
    now="counted",
)
def test_documents_that_expire_are_counted(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.sessions.insert_many({"_id": n, "at": NOW - timedelta(hours=n)} for n in range(48))
    source.sessions.create_index("at", expireAfterSeconds=86_400 - 1800)
    text = the(assess(fleet, target), "sessions", "older than")
    assert "as soon as it is built; 24 of 48 sampled documents" in text
    text = the(assess(fleet, target, "--indexes", "before"), "sessions", "older than")
    assert "while the run copies" in text
    series = {"timeField": "at"}
    source.create_collection("series", timeseries=series, expireAfterSeconds=3600)
    assert "collMod" in the(assess(fleet, target), "series", "older than")
    fleet.mongo[target].sessions.create_index("at", expireAfterSeconds=86_400 - 1800)
    found = assess(fleet, target)
    assert "Drop it at the target" in the(found, "sessions", "at the target deletes them")


def test_what_the_rules_do_not_reach_in_the_sample(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.people.insert_many({"_id": n, "email": "a", "home": {"street": "s"}} for n in range(9))
    source.people.insert_one({"_id": 9, "Email": "b", "home": "street 1"})
    rules = ("--mask", "email=faker:email", "--mask", "home.street=faker:street_name")
    found = assess(fleet, target, *rules)
    the(found, "--mask home.street=faker:street_name", "1 value on the path", "10 sampled")
    the(found, "Email of", "no rule names it")
    assert len(found["concerns"]) == 2


@pytest.mark.situation(
    10, "`--dry-run` with `_id`s that the target has already", before="nothing", now="counted"
)
def test_documents_that_the_target_has_already(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.orders.insert_many({"_id": n, "a": n} for n in range(40))
    fleet.mongo[target].orders.insert_many({"_id": n, "a": 0} for n in range(20))
    text = the(assess(fleet, target, "--append"), "about 19 documents", "same _id")
    assert "recorded as a failure" in text
    text = the(assess(fleet, target, "--append", "--on-conflict", "skip"), "about 19 documents")
    assert "the source's are left out" in text


@pytest.fixture
def reader(fleet: Fleet) -> Iterator[None]:
    """Both sides are reached by a user who may only read."""
    database = fleet.mongo[fleet.database]
    database.command("createUser", "reader", pwd="pa55word", roles=["read"])
    for side in ("SOURCE", "TARGET"):
        name = f"FRAMEWORK_{side}_DB_CONNECTION_STRING"
        host = fleet.environment[name].split("//")[1].strip("/")
        login = f"reader:pa55word@{host}/?authSource={fleet.database}"
        fleet.environment[name] = f"mongodb://{login}"
    yield
    database.command("dropUser", "reader")


@pytest.mark.situation(
    10, "`--dry-run` without the rights", before="nothing", now="the right is named"
)
@pytest.mark.usefixtures("reader")
def test_rights_that_are_missing(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.orders.insert_one({"_id": 1})
    found = assess(fleet, target)
    text = the(found, f"{target} at the target", "the user may not", "insert")
    assert "Give the user the role readWrite" in text
    assert "pa55word" not in json.dumps(found)


@pytest.mark.usefixtures("cosmos")
def test_a_unique_index_on_a_filled_collection(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.orders.insert_many({"_id": n, "a": n} for n in range(10))
    source.orders.create_index("a", unique=True)
    fleet.mongo[target].orders.insert_one({"_id": 99, "a": 99})
    found = assess(fleet, target, "--append", "--different-servers")
    the(found, "the index a_1", "only on empty collections")


@pytest.mark.situation(
    10,
    "`--dry-run` to a Cosmos DB account: text and hashed indexes, documents over 2 MB, shard keys",
    before="nothing",
    now="a line for each",
)
@pytest.mark.usefixtures("cosmos")
def test_what_a_cosmos_db_account_does_not_take(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.create_collection("orders", collation={"locale": "tr"})
    documents: list[dict[str, Any]] = [{"_id": n, "key": n, "at": NOW} for n in range(50)]
    documents += [
        {"_id": 50},
        {"_id": 51, "key": 1, "text": "x" * 2_200_000},
        {"_id": "y" * 1100, "key": 1},
    ]
    source.orders.insert_many(documents)
    simple = {"locale": "simple"}
    source.orders.create_index([("a", "text")], collation=simple)
    source.orders.create_index([("b", "hashed")], collation=simple)
    source.orders.create_index("c", sparse=True)
    source.orders.create_index("key", unique=True, partialFilterExpression={"key": {"$gt": 1}})
    source.orders.create_index("d", unique=True, sparse=True)
    source.create_collection("latest", viewOn="orders", pipeline=[])
    found = assess(fleet, target, "--shard-key", "key", "--views")
    the(found, "a_text", "does not support text indexes")
    the(found, "b_hashed", "does not support hashed indexes")
    the(found, "c_1", "does not support sparse indexes")
    the(found, "collation of", "no such options")
    the(found, "the view", "does not support views")
    assert "3 of 53 sampled documents" in the(found, "sampled documents")
    the(found, "the document 51", "2,200,0")
    assert not [text for text in concerns(found) if "key_1" in text]


def test_a_sample_that_is_written_is_dropped_again(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.orders.insert_many({"_id": n, "email": f"{n}@firm.test"} for n in range(3000))
    source.orders.create_index("email", unique=True)
    found = assess(fleet, target, "--mask", "email=faker:email", "--write-sample")
    assert found["written"]
    assert found["concerns"] == []
    assert 0 < found["seconds"] < 30
    assert fleet.mongo[target].list_collection_names() == []
    assert not [name for name in source.list_collection_names() if SAMPLE_COLLECTION in name]


@pytest.mark.situation(
    10, "does it fit the weekend?", before="no answer", now="`dataworks plan --within`"
)
def test_a_plan_says_whether_it_fits(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.orders.insert_many({"_id": n} for n in range(2000))
    where = ("--include", f"{fleet.database}.orders", "--to", f"{target}.orders")
    measure = ("--measure", "0.5", "--workers", 8)
    text = fleet.run("plan", *where, *measure, "--write-sample").stdout
    assert "2,000 documents" in text
    assert "fits the weekend: " in text
    assert "±" in text
    assert "with 8 workers" in text
    plan = fleet.run_json("plan", *where, *measure, "--max-rate", 1, "--within", "10m")
    assert (plan["fits"], plan["workers_needed"]) == (False, None)
    assert 1999 <= plan["seconds"] <= 2010
    assert "Give one of them" in fleet.run("plan", "user_profile", *where, check=False).stderr
    assert fleet.mongo[target].list_collection_names() == []


@pytest.mark.situation(
    10,
    "the time of `--dry-run`",
    before="0:01 for 4.3 s",
    now="measured on a sample, close to the run's",
)
def test_the_time_is_close_to_that_of_the_run(
    fleet: Fleet, target: str, source: Database[dict[str, Any]]
) -> None:
    source.orders.insert_many({"_id": n, "text": "x" * 300} for n in range(60_000))
    where = ("--include", f"{fleet.database}.orders", "--to", f"{target}.orders")
    plan = fleet.run_json("plan", *where, "--workers", 1, "--measure", 2, "--write-sample")
    fleet.start_worker(1)
    run = fleet.run_json("migrate", *where)
    assert plan["seconds"] / 5 < run["seconds"] < plan["seconds"] * 5 + 3
