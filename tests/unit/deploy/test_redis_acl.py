"""The Redis users may run every command of the ledger's scripts, and no user may do harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.deploy.compose_file import ROOT

LINES = (ROOT / "deploy/redis/users.acl").read_text().splitlines()
USERS = {line.split()[1]: line.split()[2:] for line in LINES}
SCRIPTS = sorted((ROOT / "dataworks_tasks/ledger").glob("*.lua"))


@pytest.mark.parametrize("user", ["producer", "worker"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_user_may_run_the_ledgers_scripts(script: Path, user: str) -> None:
    called = set(re.findall(r"redis\.call\('(\w+)'", script.read_text()))
    assert called
    assert {f"+{name.lower()}" for name in called} <= set(USERS[user])


def test_no_user_gets_a_complete_category() -> None:
    assert USERS.pop("default") == ["off"]
    for rules in USERS.values():
        assert rules[:3] == ["on", ">PASSWORD", "resetkeys"]
        assert "-@all" in rules
        assert not [rule for rule in rules if rule.startswith("+@") or rule in {"~*", "&*"}]
        assert not {"+flushall", "+flushdb", "+keys", "+scan", "+config", "+acl"} & set(rules)
