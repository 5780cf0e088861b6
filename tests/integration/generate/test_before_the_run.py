"""What is found before the first document: refused indexes, and runs that add nothing."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.fleet import Fleet

CONTENT = {"n": {"type": "autoincrement"}, "place": {"type": "coordinates"}}
GOOD = {"key": {"n": 1}, "name": "by_n", "unique": True}
BAD = [
    {"key": {"place": "2d"}, "min": 10, "max": -10},
    {"key": {"n": 1}, "collation": {"locale": "no-such-locale"}},
    {"key": {"n": -1}, "expireAfterSeconds": 10**12},
]


def template(folder: Path, *indexes: dict[str, Any]) -> Path:
    path = folder / "places.json"
    document = {"collection": "places", "count": 50, "content": CONTENT, "indexes": list(indexes)}
    path.write_text(json.dumps(document))
    return path


def test_an_index_that_the_server_refuses_is_refused_before_the_run(
    fleet: Fleet, tmp_path: Path
) -> None:
    places = fleet.mongo[fleet.database]["places"]
    for index in BAD:
        arguments = ("generate", template(tmp_path, GOOD, index), "--database", fleet.database)
        refused = fleet.run(*arguments, "--detach", check=False)
        assert refused.returncode == 2, refused.stderr
        assert "cannot be built" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert places.count_documents({}) == 0

    places.insert_one({"kept": True})
    for flag in ("--drop", "--append"):
        refused = fleet.run(*arguments, "--detach", flag, check=False)
        assert refused.returncode == 2, refused.stderr
    assert places.count_documents({}) == 1
    assert fleet.mongo[fleet.database].list_collection_names() == ["places"]


def test_indexes_that_were_tried_are_built_after_the_documents(
    fleet: Fleet, tmp_path: Path
) -> None:
    places = fleet.mongo[fleet.database]["places"]
    places.create_index("kept", name="kept")
    arguments = ("generate", template(tmp_path, GOOD), "--database", fleet.database, "--seed", 5)
    detached = fleet.run(*arguments, "--detach", "--append").stdout
    assert set(places.index_information()) == {"_id_", "kept"}
    fleet.start_worker(1)
    fleet.run("resume", detached.split()[0])
    assert set(places.index_information()) == {"_id_", "kept", "by_n"}

    again = fleet.run_json(*arguments, "--append")
    assert (again["state"], again["documents"]) == ("complete", 50)
    (note,) = again["notes"]
    assert note["text"] == "50 documents already existed; another --seed adds new documents"
    assert (again["remarks"], note["attention"]) == ([], False)
    assert places.count_documents({}) == 50


def test_a_capped_collection_that_would_lose_documents_is_refused(
    fleet: Fleet, tmp_path: Path
) -> None:
    """A run of 50 would be called complete while the server keeps 40."""
    database = fleet.mongo[fleet.database]
    database.create_collection("places", capped=True, size=100_000, max=40)
    for flag in ("--append", "--drop"):
        arguments = ("generate", template(tmp_path), "--database", fleet.database, flag)
        refused = fleet.run(*arguments, "--detach", check=False)
        assert refused.returncode == 2, refused.stderr
        assert "is capped at 40 documents and would get 50" in refused.stderr
    assert database["places"].options()["max"] == 40


def test_one_of_several_commands_at_once_gets_the_collection(fleet: Fleet, tmp_path: Path) -> None:
    """Each finds it empty, and two complete runs of 50 would leave 100 documents."""
    arguments = ("generate", template(tmp_path, GOOD), "--database", fleet.database, "--detach")
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda _: fleet.run(*arguments, check=False), range(4)))
    assert sorted(one.returncode for one in ended) == [0, 2, 2, 2]
    (first,) = (one.stdout.split()[0] for one in ended if not one.returncode)
    for one in ended:
        if one.returncode:
            assert "another command is starting a run" in one.stderr or first in one.stderr

    late = fleet.run(*arguments, check=False)
    assert late.returncode == 2
    assert f"run {first}, which is running, writes into {fleet.database}.places" in late.stderr
    fleet.run("cancel", first)
    second = fleet.run(*arguments).stdout.split()[0]
    fleet.start_worker(1)
    assert fleet.run_json("resume", second)["documents"] == 50
    assert fleet.mongo[fleet.database]["places"].count_documents({}) == 50


def test_a_start_that_is_refused_leaves_the_collection_to_the_next(
    fleet: Fleet, tmp_path: Path
) -> None:
    arguments = ("--database", fleet.database, "--detach")
    refused = fleet.run("generate", template(tmp_path, BAD[1]), *arguments, check=False)
    assert "cannot be built" in refused.stderr
    fleet.run("generate", template(tmp_path, GOOD), *arguments)
