"""A whole configuration of mgodatagen against a real mongod, as its user has it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

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


CLONE = os.environ.get("MGODATAGEN", "")
"""A clone of github.com/feliixx/mgodatagen, whose files are not copied into this repository."""
BETTER = {"index_unique.json": "about 11,469 of 11,479 documents would repeat a value"}
"""mgodatagen fails on these after it has written their documents."""
LARGE = {"big.json"}


def _configurations() -> list[Path]:
    return sorted(Path(CLONE).glob("datagen/**/testdata/**/*.json")) if CLONE else []


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.skipif(not CLONE, reason="MGODATAGEN does not name a clone of mgodatagen")
def test_its_own_configurations_run_as_they_are_on_disk(fleet: Fleet) -> None:
    fleet.start_worker(1)
    works, refused, better = [], [], []
    for path in _configurations():
        counts = {part["collection"]: part["count"] for part in json.loads(path.read_text())}
        scale = ("--scale", "0.001") if path.name in LARGE else ()
        target = ("--database", fleet.database, "--drop", *scale)
        done = fleet.run("generate", path, *target, "--seed", 3, "--json", check=False)
        if path.name in BETTER:
            assert BETTER[path.name] in done.stderr
            better.append(path.name)
        elif path.parent.name == "invalid":
            assert done.returncode == 2, (path, done.stdout)
            assert done.stderr.count("\n") <= 4, done.stderr
            refused.append(path.name)
        else:
            assert done.returncode == 0, (path, done.stderr)
            for name, count in counts.items():
                expected = count // 1000 if path.name in LARGE else count
                assert fleet.mongo[fleet.database][name].count_documents({}) == expected, path
            works.append(path.name)
    assert (len(works), len(refused), len(better)) == (18, 8, 1)
