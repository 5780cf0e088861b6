"""The Dockerfile: small, not root, nothing secret, and complete."""

from __future__ import annotations

import re
import tomllib

from tests.support.dependency_audit import read_pins
from tests.unit.deploy.compose_file import ROOT, build_command, image_command

TEXT = (ROOT / "Dockerfile").read_text()
LOCK = (ROOT / "requirements.lock").read_text()


def test_the_last_stage_copies_the_environment_only() -> None:
    last = TEXT.rpartition("\nFROM ")[2]
    assert re.findall(r"^COPY (.*)$", last, re.MULTILINE) == [
        "--from=build /opt/dataworks /opt/dataworks"
    ]
    assert "RUN" not in last
    assert "apt-get" not in TEXT


def test_it_takes_no_secret() -> None:
    assert not re.search(r"^ARG .*(PASSWORD|TOKEN|SECRET|KEY|URL)", TEXT, re.MULTILINE)
    assert ".env" not in TEXT
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert not [line for line in ignored if line.startswith("!.")]


def test_what_it_copies_is_in_the_build_context() -> None:
    copied = [
        name
        for line in re.findall(r"^COPY (?!--)(.*) \S+$", TEXT, re.MULTILINE)
        for name in line.split()
    ]
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert set(copied) == allowed
    for name in copied:
        assert (ROOT / name).exists()


def test_dependencies_are_checked_by_hash_and_nothing_is_compiled() -> None:
    words = build_command()
    assert "--require-hashes" in words
    assert words[words.index("-r") + 1] == "requirements.lock"
    assert words[words.index("--only-binary") + 1] == ":all:"
    assert "--no-deps" in words[words.index("requirements.lock") :]


def test_the_lock_holds_every_dependency_at_the_version_that_was_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {_canonical(pin.name): pin.version for pin in read_pins(LOCK)}
    tested = {
        _canonical(pin.name): pin.version
        for pin in read_pins((ROOT / "constraints.txt").read_text())
    }
    direct = {_canonical(re.split(r"[\[<>=!~; ]", one)[0]) for one in project["dependencies"]}
    assert direct <= locked.keys(), "run: make lock"
    assert locked.items() <= tested.items(), "run: make lock"
    assert LOCK.count("--hash=sha256:") >= len(locked)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_celery_is_process_one() -> None:
    assert image_command()[:3] == ["celery", "-A", "dataworks_tasks"]
