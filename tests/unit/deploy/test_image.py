"""The Dockerfile: small, not root, nothing secret, and complete."""

from __future__ import annotations

import re

from tests.unit.deploy.compose_file import ROOT, build_command, image_command

TEXT = (ROOT / "Dockerfile").read_text()


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


def test_versions_are_pinned_and_nothing_is_compiled() -> None:
    words = build_command()
    assert words[words.index("-c") + 1] == "constraints.txt"
    assert words[words.index("--only-binary") + 1] == ":all:"


def test_celery_is_process_one() -> None:
    assert image_command()[:3] == ["celery", "-A", "dataworks_tasks"]
