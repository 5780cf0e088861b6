"""Connections as flags: what they set, and that no password is shown or asked for needlessly."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dataworks_tasks.errors import UsageError
from dataworks_tasks.ledger.run_flags import RunFlags
from producer.cli.shared import connection_flags
from producer.cli.shared.connection_flags import ConnectionFlags, read_flags
from producer.cli.shared.options import CommandContext, with_connections
from tests.unit.docs.reference_tables import commands

_PASSWORD = "s3/cr?et"
_NO_CONNECTION = {
    "demo", "local", "profiles", "generators", "strategies", "worker-health", "templates",
    "completion", "help", "kubernetes-secret",
}  # fmt: skip


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(connection_flags.sys, "stdin", Terminal())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "typed",
    [
        "mongodb://u:p@h:1/d?replicaSet=a",
        "mongodb+srv://u:p%40@h/",
        "mongodb://u:s3/cr@h",
        "mongodb://u:s3?cr@h",
        "mongodb://h/?tls=true&tlsCertificateKeyFilePassword=p",
        "redis://:p@h/0",
        "redis://h/0?password=p",
    ],
)
def test_a_password_is_warned_about_and_never_shown(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = read_flags(None, typed, None)
    assert flags.target == typed
    assert flags.public == RunFlags(secret=("target",))
    assert "FRAMEWORK_TARGET_DB_CONNECTION_STRING" in capsys.readouterr().err
    assert typed not in repr(flags)


@pytest.mark.parametrize(
    "typed",
    [f"mongodb://u:{_PASSWORD}@h", f"u:{_PASSWORD}", "mongodb://u@h/", "redis://w@h/0"],
)
def test_neither_a_user_name_nor_what_cannot_be_taken_apart_is_public(typed: str) -> None:
    assert ConnectionFlags(target=typed).public == RunFlags(secret=("target",))


@pytest.mark.parametrize(
    "typed", ["mongodb://h", "mongodb://CN%3Da@h/?authMechanism=MONGODB-X509", "redis://h/1"]
)
def test_nothing_is_asked_where_no_password_is_needed(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_flags(typed, None, None).source == typed
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_terminal")
def test_a_missing_password_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def prompt(text: str, **options: object) -> str:
        asked.append((text, options["hide_input"]))
        return _PASSWORD

    monkeypatch.setattr(click, "prompt", prompt)
    flags = read_flags("mongodb://u@h/", None, "redis://w@r/0")
    assert asked == [("Password for mongodb://u@h/", True), ("Password for redis://w@r/0", True)]
    assert flags.source == "mongodb://u:s3%2Fcr%3Fet@h/"
    assert flags.broker == "redis://w:s3%2Fcr%3Fet@r/0"


def test_without_a_terminal_the_setting_is_named() -> None:
    with pytest.raises(UsageError, match="Set FRAMEWORK_SOURCE_DB_CONNECTION_STRING"):
        read_flags("mongodb://u@h/", None, None)


def test_flags_win_over_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env_local").write_text(
        "FRAMEWORK_TARGET_DB_CONNECTION_STRING=mongodb://file\nFRAMEWORK_BROKER_URL=redis://file\n"
    )
    seen: list[CommandContext] = []

    @click.command()
    @with_connections
    def command(context: CommandContext) -> None:
        seen.append(context)

    done = CliRunner().invoke(command, ["--target", "mongodb://flag"])
    assert done.exit_code == 0, done.output
    config = seen[0].config()
    assert config.target is not None
    assert config.target.fingerprint == "flag:27017"
    assert config.broker_url.get_secret_value() == "redis://file"


def test_every_command_that_connects_has_the_flags() -> None:
    lacking = [
        name
        for name, command in commands()
        if name.split()[0] not in _NO_CONNECTION
        and not {"source", "target", "broker"} <= {one.name for one in command.params}
    ]
    assert lacking == []
