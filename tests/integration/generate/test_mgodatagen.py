"""A whole configuration of mgodatagen against a real mongod, as its user has it."""

from __future__ import annotations

from pathlib import Path

from tests.fleet import Fleet

FILE = Path(__file__).parents[2] / "unit" / "generate" / "mgodatagen.json"


def test_a_file_of_every_type_and_index_runs_unchanged(fleet: Fleet) -> None:
    fleet.start_worker(1)
    done = fleet.run_json("generate", FILE, "--database", fleet.database, "--seed", 3)
    assert (done["state"], done["documents"], done["failures"]) == ("complete", 801, 0)
    database = fleet.mongo[fleet.database]
    indexes = database["types"].index_information()
    assert set(indexes) == {"_id_", *(f"i{number}" for number in range(1, 10)), "ia"}
    assert indexes["i3"]["bits"] == 26
    assert indexes["i6"]["collation"]["locale"] == "fr"
    links = list(database["link"].find())
    for entry in database["types"].find():
        mine = [link["w"] for link in links if link["ref"] == entry["_id"]]
        assert (entry["n"], entry["v"]) == (len(mine), sorted(set(mine)))
        assert entry["bd"] == {"m": min(mine, default=None), "M": max(mine, default=None)}
