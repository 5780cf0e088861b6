"""Settings: layers, names, and the message when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from dataworks_tasks.broker.celery_settings import celery_settings
from dataworks_tasks.errors import SettingsError, UnknownName
from dataworks_tasks.settings import ConfigManager
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.settings.redis_address import read_sentinel_address
from dataworks_tasks.settings.setting_names import known_settings

SECRET = "mongodb://user:pa55word@db.example:27017"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for setting in known_settings():
        monkeypatch.delenv(f"FRAMEWORK_{setting.name}", raising=False)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.env").write_text(
        "# for the test\nFRAMEWORK_WRITE_WORKERS=3\nFRAMEWORK_PARALLEL_CURSORS=3\n"
        "FRAMEWORK_QUEUE=from-profile\n"
    )


def test_later_layers_win(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env_local").write_text("FRAMEWORK_PARALLEL_CURSORS=4\nFRAMEWORK_QUEUE=from-file\n")
    monkeypatch.setenv("FRAMEWORK_QUEUE", "from-environment")
    config = ConfigManager("FRAMEWORK").load_config(".env_local", profile="mine")
    assert (config.write_workers, config.parallel_cursors) == (3, 4)
    assert config.queue == "from-environment"
    config = ConfigManager().load_config(profile="mine", overrides={"QUEUE": "from-flag"})
    assert config.queue == "from-flag"


def test_the_profile_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEWORK_PROFILE", "mine")
    assert ConfigManager().load_config().write_workers == 3


def test_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEWORK_TARGET_DB_CONNECTION_STRING", SECRET)
    monkeypatch.setenv("FRAMEWORK_TARGET_DB_NAME", "shop")
    monkeypatch.setenv("FRAMEWORK_TARGET_DB_TYPE", "cosmos-db")
    monkeypatch.setenv("FRAMEWORK_TARGET_DB_MAX_POOL_SIZE", "5")
    config = ConfigManager().load_config()
    assert config.source is None
    assert config.target is not None
    assert config.target.database_name == "shop"
    assert config.target.max_pool_size == 5
    assert config.target.fingerprint == "db.example:27017"


def test_nothing_shows_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEWORK_TARGET_DB_CONNECTION_STRING", SECRET)
    monkeypatch.setenv("FRAMEWORK_BROKER_URL", "redis://:pa55word@redis.example/0")
    config = ConfigManager().load_config()
    shown = [repr(config), str(config), config.model_dump_json(), str(config.model_dump())]
    assert not [text for text in shown if "pa55word" in text]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("FRAMEWORK_WRITE_WORKER", "2", "Did you mean FRAMEWORK_WRITE_WORKERS"),
        ("FRAMEWORK_WRITE_WORKERS", "many", "FRAMEWORK_WRITE_WORKERS in the environment"),
        ("FRAMEWORK_WRITE_WORKERS", "0", "must be 1 or more. Its meaning: generation: writes"),
        ("FRAMEWORK_BATCH_AGGREGATION_SIZE", "1e9", "must be 1,000,000 or less"),
        ("FRAMEWORK_RANGE_SECONDS", "0", "must be more than 0"),
        ("FRAMEWORK_QUEUE", "a/b", "does not match ^[A-Za-z0-9_.-]{1,64}$"),
        ("FRAMEWORK_LOG_LEVELS", "celery", "'celery' is not PACKAGE=LEVEL"),
        ("FRAMEWORK_LOG_LEVELS", "celery=LOUD", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("FRAMEWORK_TARGET_DB_CONNECTION_STRING", "db:pa55word", "must begin with mongodb://"),
        ("FRAMEWORK_BROKER_URL", "amqp://:pa55word@x", "must begin with redis://"),
        ("FRAMEWORK_LEDGER_URL", "http://:pa55word@localhost", "redis://"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        ConfigManager().load_config()
    assert expected in str(caught.value)
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(("name", "example"), [("WRITE_WORKERS", "10k"), ("STALL_SECONDS", "0.5")])
def test_what_is_not_a_number_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, name: str, example: str
) -> None:
    monkeypatch.setenv(f"FRAMEWORK_{name}", "many")
    with pytest.raises(SettingsError, match=f"is not a number such as .*{example}"):
        ConfigManager().load_config()


def test_a_bad_setting_in_a_file_names_the_file() -> None:
    Path(".env_local").write_text("FRAMEWORK_WRITE_WORKERS=-1\n")
    with pytest.raises(SettingsError, match=r"FRAMEWORK_WRITE_WORKERS in \.env_local"):
        ConfigManager().load_config()


def test_an_unknown_profile_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean mine"):
        ConfigManager().load_config(profile="mina")


def test_every_setting_says_what_it_means() -> None:
    assert [setting.name for setting in known_settings() if not setting.description] == []


@pytest.mark.parametrize(
    ("uri", "fingerprint"),
    [
        ("mongodb://b:2,A:1/?replicaSet=r", "a:1,b:2"),
        ("mongodb+srv://u:p%40ss@Cluster.mongodb.net/x?y=1", "cluster.mongodb.net"),
        ("mongodb://localhost", "localhost:27017"),
    ],
)
def test_fingerprints_name_hosts_only(
    monkeypatch: pytest.MonkeyPatch, uri: str, fingerprint: str
) -> None:
    monkeypatch.setenv("FRAMEWORK_TARGET_DB_CONNECTION_STRING", uri)
    target = ConfigManager().load_config().target
    assert target is not None
    assert target.fingerprint == fingerprint


def test_an_unescaped_password_is_reported_without_showing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FRAMEWORK_TARGET_DB_CONNECTION_STRING", "mongodb://u:pa55@w:rd@h")
    with pytest.raises(SettingsError, match="percent-encode") as caught:
        ConfigManager().load_config()
    assert "pa55" not in str(caught.value)
    target = DatabaseConfig(connection_string=SecretStr("mongodb://u:pa55@w:rd@h"))
    with pytest.raises(SettingsError, match="ercent-encode") as caught:
        _ = target.fingerprint
    assert "pa55" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "address", "reported"),
    [
        ("BROKER_URL", "http://:pa55word@h", "must begin with redis://, rediss:// or sentinel://"),
        ("BROKER_URL", "unix:///run/redis.sock", "over TCP"),
        ("LEDGER_URL", "redis+cluster://:pa55word@h:7000", "Redis Cluster cannot be used"),
        ("BROKER_URL", "rediscluster://:pa55word@h:7000", "Redis Cluster cannot be used"),
        ("BROKER_URL", "sentinels://:pa55word@h/0?master=m", "TLS is not supported"),
        ("BROKER_URL", "sentinel://:pa55word@h:x/0?master=m", "must have the form"),
        ("LEDGER_URL", "sentinel://:pa55word@h/0", "must have the form"),
        ("BROKER_URL", "sentinel://:pa55word@h/0?master=m&tls=1", "'tls' is not an option"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(
    setting: str, address: str, reported: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FRAMEWORK_{setting}", address)
    with pytest.raises(SettingsError) as raised:
        ConfigManager().load_config()
    text = str(raised.value)
    assert f"FRAMEWORK_{setting}" in text
    assert reported in text
    assert "pa55word" not in text


def test_a_sentinel_address_becomes_what_celery_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "sentinel://me:pa%2Fss@a,[::1]:5/3?master=mine&sentinel_auth=true"
    monkeypatch.setenv("FRAMEWORK_BROKER_URL", address)
    config = ConfigManager().load_config()
    settings = celery_settings(config)
    one, other = (f"sentinel://me:pa%2Fss@{host}/3" for host in ("a:26379", "[::1]:5"))
    assert settings["broker_url"] == f"{one};{other}"
    options = settings["broker_transport_options"]
    assert options["master_name"] == "mine"
    assert options["sentinel_kwargs"]["password"] == "pa/ss"
    assert options["visibility_timeout"] == 120
    assert "pa/ss" not in repr(read_sentinel_address(address))


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("FRAMEWROK_TARGET_DB_CONNECTION_STRING", "FRAMEWORK_TARGET_DB_CONNECTION_STRING"),
        ("FRAMEWORK_TARGET_DB_CONECTION_STRING", "FRAMEWORK_TARGET_DB_CONNECTION_STRING"),
        ("FRAMEWORKBROKER_URL", "FRAMEWORK_BROKER_URL"),
        ("framework_queue", "FRAMEWORK_QUEUE"),
        ("BROKER_URL", "FRAMEWORK_BROKER_URL"),
        ("Framework_Log_Level", "FRAMEWORK_LOG_LEVEL"),
        ("export FRAMEWORK_QUEU", "FRAMEWORK_QUEUE"),
    ],
)
def test_a_misspelt_name_in_the_file_is_refused_with_the_nearest(line: str, meant: str) -> None:
    Path(".env_local").write_text(f"# mine\n{line}=pa55word\n")
    with pytest.raises(SettingsError, match=rf"in \.env_local\. Did you mean {meant}\b") as caught:
        ConfigManager().load_config()
    assert "pa55word" not in str(caught.value)


def test_names_of_others_in_the_file_are_left_alone() -> None:
    Path(".env_local").write_text("FLOWER_BASIC_AUTH=a:b\nPYTHONPATH=.\nMONGOD_BIN=/x\nQUEUES=1\n")
    assert ConfigManager().load_config().queue == "dataworks"


def test_counts_may_be_written_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEWORK_BATCH_AGGREGATION_SIZE", "20k")
    monkeypatch.setenv("FRAMEWORK_SOURCE_DB_BATCH_SIZE", "1e3")
    monkeypatch.setenv("FRAMEWORK_GENERATION_WORKERS", "1_6")
    config = ConfigManager().load_config()
    assert (config.batch_aggregation_size, config.source_db_batch_size) == (20_000, 1000)
    assert config.generation_workers == 16
    monkeypatch.setenv("FRAMEWORK_BATCH_AGGREGATION_SIZE", "1.5")
    with pytest.raises(SettingsError, match="FRAMEWORK_BATCH_AGGREGATION_SIZE"):
        ConfigManager().load_config()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"# mine\n\nFRAMEWORK_QUEUE pa55word\n", r"^line 3 of \.env_local is not NAME=VALUE"),
        (b"FRAMEWORK_QUEUE: pa55word\n", r"^line 1 of \.env_local is not NAME=VALUE"),
        (b'FRAMEWORK_LOG_LEVEL=INFO\nFRAMEWORK_QUEUE="pa55word\n', r"^line 2 of .* a quote in it"),
        ("FRAMEWORK_QUEUE=pa55word\n".encode("utf-16"), r"\.env_local is not UTF-8 text"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused_and_not_ignored(text: bytes, said: str) -> None:
    Path(".env_local").write_bytes(text)
    with pytest.raises(SettingsError, match=said) as caught:
        ConfigManager().load_config()
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"FRAMEWORK_QUEUE=mine",
        b"\xef\xbb\xbfFRAMEWORK_QUEUE=mine\r\n",
        b"export FRAMEWORK_QUEUE='mine'  # quoted\r\n\r\n",
        b'  FRAMEWORK_QUEUE = "mine"\n',
    ],
)
def test_a_file_of_another_program_is_read(text: bytes) -> None:
    Path(".env_local").write_bytes(text)
    assert ConfigManager().load_config().queue == "mine"


def test_a_file_that_may_not_be_read_is_an_error_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env_local").write_text("FRAMEWORK_QUEUE=mine\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with pytest.raises(SettingsError, match=r"\.env_local cannot be read: Permission denied"):
        ConfigManager().load_config()
