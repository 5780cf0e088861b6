"""Every profile loads, and every line of it gives its reason."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from dataworks_tasks.settings import ConfigManager
from dataworks_tasks.settings.setting_names import known_settings

ROOT = Path(__file__).parents[3]
PROFILES = sorted((ROOT / "profiles").glob("*.env"))
KNOWN = {f"FRAMEWORK_{setting.name}" for setting in known_settings()}
DATABASES = {
    "SOURCE_DB_CONNECTION_STRING": "mongodb://localhost",
    "TARGET_DB_CONNECTION_STRING": "mongodb://localhost",
}


@pytest.fixture(autouse=True)
def bare_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)


def test_the_three_profiles_are_there() -> None:
    assert [path.stem for path in PROFILES] == ["data-ingest", "data-migration", "dev"]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile_loads_with_every_value_taken_over(path: Path) -> None:
    config = ConfigManager().load_config(profile=path.stem, defaults=DATABASES)
    assert config.profile == path.stem
    for setting in known_settings():
        text = settings_of(path).get(f"FRAMEWORK_{setting.name}")
        if text is not None:
            value = config
            for attribute in setting.place:
                value = getattr(value, attribute)
            assert str(value) == text or float(str(value)) == float(text)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_line_has_its_reason(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert lines[1] == ""
    for before, line in pairwise(lines):
        if line and not line.startswith("#"):
            assert before.startswith("# "), f"{line} has no reason"
            assert len(before) > 20


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profile_holds_no_address_and_no_secret(path: Path) -> None:
    names = settings_of(path).keys()
    assert names <= KNOWN
    assert not [name for name in names if "URL" in name or "CONNECTION_STRING" in name]


def test_the_example_names_known_settings_only() -> None:
    text = (ROOT / ".env_local.example").read_text()
    shown = [line.removeprefix("# ") for line in text.splitlines() if "=" in line]
    names = {line.partition("=")[0] for line in shown if line.startswith("F")}
    assert names - KNOWN == {"FLOWER_BASIC_AUTH"}
    assert not [line for line in text.splitlines() if line and not line.startswith("#")]


def settings_of(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
