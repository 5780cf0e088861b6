"""Log lines: one an event, with its run and range, and without credentials."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataworks_tasks.errors import SettingsError
from dataworks_tasks.logs import log_fields, set_up_logging, without_credentials
from dataworks_tasks.settings import ConfigManager, FrameworkConfig

LOGGER = "dataworks_tasks.example"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in ("pymongo", "faker", "kombu", "amqp", "asyncio", "example", "celery.apps.worker",
                 "celery.app.trace", "celery.worker.strategy"):  # fmt: skip
        logging.getLogger(name).setLevel(logging.NOTSET)


def _logged(tmp_path: Path, **settings: object) -> list[str]:
    file = tmp_path / "log"
    set_up_logging(FrameworkConfig.model_validate(settings), str(file))
    log = logging.getLogger(LOGGER)
    with log_fields(run="gen-1", range="[0:5)"):
        log.info("range completed", extra={"fields": {"documents": 5}})
    log.debug("a detail")
    try:
        raise ValueError("mongodb://user:secret@host/x is wrong")
    except ValueError:
        log.exception("redis://:secret@host:6379/0 does not answer")
    return file.read_text().splitlines()


def test_text_lines_carry_the_run_and_the_range(tmp_path: Path) -> None:
    first, second, *trace = _logged(tmp_path)
    expected = f"INFO    {LOGGER}: range completed  run=gen-1  range=[0:5)  documents=5"
    assert first.endswith(expected)
    assert second.endswith(f"ERROR   {LOGGER}: redis://***@host:6379/0 does not answer")
    assert trace[-1] == "ValueError: mongodb://***@host/x is wrong"


def test_json_lines_are_objects_with_fields(tmp_path: Path) -> None:
    first, second = map(json.loads, _logged(tmp_path, log_format="json"))
    assert (first["run"], first["range"], first["documents"]) == ("gen-1", "[0:5)", 5)
    assert (first["level"], first["logger"], first["message"]) == (
        "INFO",
        LOGGER,
        "range completed",
    )
    assert "run" not in second
    assert "ValueError" in second["traceback"]
    assert "secret" not in str(second)


def test_levels_are_for_all_and_for_single_packages(tmp_path: Path) -> None:
    assert len(_logged(tmp_path, log_level="DEBUG", log_format="json")) == 3
    quiet = FrameworkConfig(log_level="ERROR", log_levels=(("example", "DEBUG"),))
    set_up_logging(quiet, str(tmp_path / "quiet"))
    logging.getLogger("example.part").debug("seen")
    logging.getLogger(LOGGER).warning("not seen")
    logging.getLogger("celery.apps.worker").info("worker@host ready.")
    assert len((tmp_path / "quiet").read_text().splitlines()) == 2


def test_an_unknown_level_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEWORK_LOG_LEVELS", "celery=WARNING,pymongo=LOUD")
    with pytest.raises(SettingsError, match="FRAMEWORK_LOG_LEVELS in the environment"):
        ConfigManager().load_config("no file")
    monkeypatch.setenv("FRAMEWORK_LOG_LEVELS", "celery=WARNING, pymongo=DEBUG")
    levels = ConfigManager().load_config("no file").log_levels
    assert levels == (("celery", "WARNING"), ("pymongo", "DEBUG"))


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("amqp+srv://a:b%40c@h/x?y", "amqp+srv://***@h/x?y"),
        ("mail me@example.org, http://host/a@b", "mail me@example.org, http://host/a@b"),
        ("rediss://token@h and mongodb://u:p@h1,h2/", "rediss://***@h and mongodb://***@h1,h2/"),
    ],
)
def test_credentials_of_urls_are_covered(text: str, covered: str) -> None:
    assert without_credentials(text) == covered


def test_nothing_is_printed_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _logged(tmp_path)
    sys.stderr.flush()
    assert capsys.readouterr().err == ""
