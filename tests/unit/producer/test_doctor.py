"""What doctor makes of what servers and workers say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from dataworks_tasks.broker.messages import DRIVE_RUN, FINISH_RUN, REPAIR_RANGE, TASKS
from dataworks_tasks.ledger.redis_server import RedisFacts
from dataworks_tasks.settings import FrameworkConfig
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.worker.report import describe
from producer.cli.doctor import command
from producer.connections import Connections
from producer.doctor import preflight
from producer.doctor.check import Check
from producer.doctor.database_rights import allowed_actions
from producer.doctor.redis_checks import clock_check, redis_checks
from producer.doctor.worker_checks import compare_worker, task_checks


@pytest.mark.parametrize(
    ("resource", "covered"),
    [
        ({"db": "shop", "collection": "orders"}, True),
        ({"db": "shop", "collection": ""}, True),
        ({"db": "", "collection": ""}, True),
        ({"anyResource": True}, True),
        ({"db": "shop", "collection": "customers"}, False),
        ({"db": "other", "collection": ""}, False),
        ({"cluster": True}, False),
    ],
)
def test_a_privilege_covers_its_resource(resource: dict[str, Any], covered: bool) -> None:
    privileges = [{"resource": resource, "actions": ["find", "insert"]}]
    expected = {"find", "insert"} if covered else set()
    assert allowed_actions(privileges, "shop", "orders") == expected


def _config(target: str = "mongodb://u:pa55word@a,b/", **more: Any) -> FrameworkConfig:
    return FrameworkConfig(target=DatabaseConfig(connection_string=target), **more)


def test_a_worker_that_fits_is_fine() -> None:
    here, there = describe(_config()), describe(_config("mongodb://b,a/"))
    check = compare_worker("w@h, 2 processes", here, there)
    assert check.ok
    assert check.found.startswith("w@h, 2 processes, version ")
    assert "pa55word" not in str(here)


def test_every_difference_is_named_with_what_to_do() -> None:
    here = describe(_config(plugins=("/here/mine.py",)))
    there = describe(_config("mongodb://elsewhere", plugins=("gone.py",)))
    there["versions"] = {**there["versions"], "faker": "1.0"}
    check = compare_worker("w@h", here, there)
    assert not check.ok
    for words in (
        "faker 1.0 there, ",
        "its target is elsewhere:27017, here it is a:27017,b:27017",
        "it has no plugin /here/mine.py",
        "its plugin gone.py is missing",
    ):
        assert words in check.found
    assert "pip install" in check.remedy


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ([REPAIR_RANGE], f"does not know {REPAIR_RANGE} of version"),
        ([FINISH_RUN, DRIVE_RUN], f"does not know {FINISH_RUN}, {DRIVE_RUN} of version"),
    ],
)
def test_an_older_worker_is_named_with_its_version_and_how_to_upgrade_it(
    missing: list[str], words: str
) -> None:
    known = ["celery.ping", *(f"{task} [rate_limit=1/s]" for task in TASKS if task not in missing)]
    (check,) = task_checks("w@h", known, "0.0.9")
    assert not check.ok
    assert check.found.startswith("w@h of version 0.0.9 ")
    assert words in check.found
    assert check.remedy == "Upgrade it and restart it: pip install -U dataworks"
    assert list(task_checks("w@h", TASKS, "0.0.9")) == []


@pytest.mark.parametrize(
    ("report", "words"),
    [(None, "another version"), ({"problem": "FRAMEWORK_QUEUE is bad"}, "FRAMEWORK_QUEUE is bad")],
)
def test_a_worker_that_cannot_answer_is_not_fine(report: Any, words: str) -> None:
    check = compare_worker("w@h", describe(_config()), report)
    assert not check.ok
    assert words in check.found


def test_plugins_are_looked_for_and_not_loaded(tmp_path: Any) -> None:
    plugin = tmp_path / "plugin.py"
    plugin.write_text("raise RuntimeError('loaded')")
    names = (str(plugin), "json.decoder", "no_such_module", "no_such.module")
    found = describe(FrameworkConfig(plugins=names))["plugins"]
    assert list(found.values()) == [True, True, False, False]


def test_brackets_are_shown_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = Check("target", False, "PyMongo [/x] is too new", "pip install 'dataworks[extra]'")
    monkeypatch.setattr("producer.doctor.preflight.run_checks", lambda _connections, **_: [extra])
    shown = CliRunner().invoke(command).output
    assert "target: PyMongo [/x] is too new" in shown
    assert "pip install 'dataworks[extra]'" in shown


@pytest.mark.parametrize(
    ("ahead", "ok", "words"),
    [
        (0.4, True, "correct to within"),
        (300.0, False, "300 s ahead of"),
        (-5.0, False, "5 s behind"),
    ],
)
def test_a_clock_is_compared(ahead: float, ok: bool, words: str) -> None:
    check = clock_check("worker clock", "w3's clock", ahead, "that of Redis")
    assert check.ok is ok
    assert words in check.found


@pytest.mark.parametrize(
    ("used", "limit", "ok", "words"),
    [
        (256, 256, False, "Redis is full: 256 of 256 MB"),
        (240, 256, False, "nearly full"),
        (10, 256, True, "10 of 256 MB used"),
        (10, 0, True, "without a limit"),
    ],
)
def test_the_memory_of_redis_is_compared_with_its_limit(
    used: int, limit: int, ok: bool, words: str
) -> None:
    facts = RedisFacts("redis", "8", True, "noeviction", used << 20, limit << 20)
    check = next(check for check in redis_checks(facts) if check.name == "redis room")
    assert check.ok is ok
    assert words in check.found


@pytest.mark.parametrize(
    ("folder", "named"), [("/data/redis", "the disk of /data/redis"), ("", "its disk")]
)
def test_a_redis_that_cannot_write_is_named_with_its_folder(folder: str, named: str) -> None:
    facts = RedisFacts("redis", "8", True, "noeviction", cannot_write=True, folder=folder)
    check = next(check for check in redis_checks(facts) if not check.ok)
    assert check.found == f"Redis cannot write to {named} and stores nothing"
    assert check.remedy.startswith("Free space there")


def test_what_nobody_foresaw_is_one_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def fine() -> Iterator[Check]:
        yield Check("redis", ok=True, found="redis 8")

    def broken() -> Iterator[Check]:
        raise KeyError("no such key")

    checks = [("redis", fine), ("workers", broken), ("redis", fine)]
    monkeypatch.setattr(preflight, "_checks", lambda _connections: checks)
    with Connections(_config()) as connections:
        found = list(preflight.run_checks(connections))
        assert [check.ok for check in found] == [True, False, True]
        assert "an unexpected KeyError: 'no such key'" in found[1].found
        with pytest.raises(KeyError):
            list(preflight.run_checks(connections, debug=True))
