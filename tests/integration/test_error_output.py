"""With ``--json``, an error is an object of the documented schema."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dataworks_tasks import errors
from tests.fleet import Fleet
from tests.support.json_output import SCHEMA, check_error
from tests.support.warm_commands import WARM

NOWHERE = "redis://127.0.0.1:1/0"
BAD_TEMPLATE = {"content": {"a": {"type": "int", "min": 5, "max": 1}, "b": {"type": "nosuch"}}}


@pytest.mark.parametrize(
    ("arguments", "kind", "said", "remedy", "code"),
    [
        ("generate nosuch --total 1", "UnknownName", "'nosuch'", "List them with", 2),
        ("generate service_order --total x", "UsageError", "'x'", "Try: dataworks generate -", 2),
        ("generate service_order --nosuch", "UsageError", "--nosuch", "Try: dataworks gen", 2),
        ("worker -P gevent", "UsageError", "'gevent'", "--pool solo", 2),
        ("generate", "UsageError", "TEMPLATE", "Try: dataworks generate --help", 2),
        ("nosuch", "UsageError", "'nosuch'", "", 2),
        (f"status --broker {NOWHERE}", "UsageError", "does not answer", "with --broker, or", 2),
        ("status --broker http://x", "SettingsError", "--broker: ", "", 2),
        ("generate service_order --target x", "SettingsError", "--target: ", "", 2),
        ("generate service_order --target mongodb://", "SettingsError", "--target: ", "", 2),
        ("migrate --include a.b --source x", "SettingsError", "--source: ", "", 2),
        ("templates check bad.json", "TemplateError", "2 problems", "", 2),
    ],
)
def test_each_kind_of_error_is_an_object(
    tmp_path: Path, arguments: str, kind: str, said: str, remedy: str, code: int
) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(BAD_TEMPLATE))
    words = [*arguments.split(), "--json"]
    done = WARM.run(words, dict(os.environ), tmp_path, 60)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    found = check_error(done.stderr)
    assert (found["error"], found["exit_code"]) == (kind, code)
    assert said in found["message"]
    assert remedy in found["remedy"]
    assert len(found.get("findings", ())) == (2 if kind == "TemplateError" else 0)


def test_what_servers_refuse_is_an_object_that_names_the_flag(fleet: Fleet) -> None:
    def error_of(*arguments: object) -> dict[str, Any]:
        done = fleet.run(*arguments, "--json", check=False)
        assert done.returncode == 2
        assert "wrong" not in done.stdout + done.stderr.splitlines()[-1]
        return check_error(done.stderr)

    unknown = error_of("status", "gen-20200101-000000-aaaa")
    assert unknown["error"] == "UnknownName"
    assert "gen-20200101-000000-aaaa" in unknown["message"]
    where = ("generate", "service_order", "--total", 1)
    for side in ("target", "source"):
        address = fleet.environment[f"FRAMEWORK_{side.upper()}_DB_CONNECTION_STRING"]
        typed = address.replace("mongodb://", "mongodb://somebody:wrong@")
        command = where if side == "target" else ("migrate", "--include", "a.*")
        found = error_of(*command, f"--{side}", typed)
        assert found["remedy"] == f"Check --{side}", found
        setting = {f"FRAMEWORK_{side.upper()}_DB_CONNECTION_STRING": typed}
        words = [*map(str, command), "--json"]
        by_setting = WARM.run(words, fleet.process_environment() | setting, fleet.folder, 60)
        assert f"Check FRAMEWORK_{side.upper()}_DB" in check_error(by_setting.stderr)["remedy"]
    redis = fleet.environment["FRAMEWORK_BROKER_URL"].replace("redis://", "redis://nobody:wrong@")
    found = error_of("runs", "--broker", redis)
    assert "--broker" in found["message"] + found["remedy"]
    assert "FRAMEWORK" not in found["message"] + found["remedy"]


def test_without_json_an_error_is_text(tmp_path: Path) -> None:
    done = WARM.run(["generate", "nosuch", "--total", "1"], dict(os.environ), tmp_path, 60)
    assert done.stderr.startswith("error: unknown template or generator 'nosuch'. ")


def test_the_schema_knows_every_kind_of_error() -> None:
    known = set(SCHEMA["$defs"]["error"]["properties"]["error"]["enum"])
    tree = [errors.DataWorksError]
    for one in tree:
        tree += [each for each in one.__subclasses__() if each.__module__ == errors.__name__]
    assert known == {one.__name__ for one in tree[1:]}
