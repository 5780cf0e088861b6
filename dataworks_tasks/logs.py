"""One line per event, as text or JSON, with the run and the range that it is about.

Workers log this way: Celery's own set-up is replaced when this module is imported by the app.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from celery.signals import (
    celeryd_after_setup,
    celeryd_init,
    setup_logging,
    worker_shutting_down,
)

from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.settings import ConfigManager, FrameworkConfig
from dataworks_tasks.version import __version__

_FIELDS: ContextVar[Mapping[str, object]] = ContextVar("dataworks_log_fields")
_CREDENTIALS = re.compile(
    # For our own servers up to the last @, because a password may hold a slash before it is
    # refused.
    r"(?P<scheme>(?:rediss?|sentinel|unix|mongodb(?:\+srv)?)://)\S+@(?=[A-Za-z0-9\[])"
    r"|(?P<other>[A-Za-z][A-Za-z0-9+.-]*://)[^/\s@'\"]+@"
)

_QUIET = ("pymongo", "faker", "kombu", "amqp", "asyncio")
"""Libraries whose lines below WARNING do not help in running a fleet."""

_EACH_TASK = ("celery.app.trace", "celery.worker.strategy")
"""They log each task twice; a range has a line of its own instead. Shown from DEBUG on."""

_READINESS = "celery.apps.worker"
"""It logs ``NAME@HOST ready.``, which others wait for, so it is never quieter than INFO."""


@contextmanager
def log_fields(**fields: object) -> Iterator[None]:
    """Put ``fields`` on every line that this thread logs inside."""
    token = _FIELDS.set({**_FIELDS.get({}), **fields})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def without_credentials(text: str) -> str:
    """Return ``text`` with the user and password of every URL masked."""
    return _CREDENTIALS.sub(lambda found: f"{found['scheme'] or found['other']}***@", text)


def _fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return {**_FIELDS.get({}), **fields}


class TextFormatter(logging.Formatter):
    """Formats a record as ``2026-01-31 12:00:00.123 INFO  logger: message  run=...``."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line; a traceback follows on its own lines."""
        moment = datetime.fromtimestamp(record.created)
        fields = "".join(f"  {name}={value}" for name, value in _fields_of(record).items())
        head = f"{moment:%Y-%m-%d %H:%M:%S}.{int(record.msecs):03} {record.levelname:<7}"
        text = f"{head} {record.name}: {record.getMessage()}{fields}"
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return without_credentials(text)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, process, message, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line of JSON."""
        value: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **_fields_of(record),
        }
        if record.exc_info:
            value["traceback"] = self.formatException(record.exc_info)
        return without_credentials(json.dumps(value, default=str, ensure_ascii=False))


def set_up_logging(config: FrameworkConfig, file: str | None = None) -> None:
    """Log to ``file`` or to standard error, as the settings say. Replaces what was set up."""
    handler = logging.FileHandler(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if config.log_format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        if isinstance(old.formatter, TextFormatter | JsonFormatter):
            old.close()
    root.addHandler(handler)
    root.setLevel(config.log_level)
    levels = dict.fromkeys(_QUIET, "WARNING")
    if config.log_level != "DEBUG":
        levels |= {**dict.fromkeys(_EACH_TASK, "WARNING"), _READINESS: "INFO"}
    for name, level in {**levels, **dict(config.log_levels)}.items():
        logging.getLogger(name).setLevel(level)


@celeryd_init.connect
def _begin_in_json(instance: Any, **_: Any) -> None:
    """Leave out the banner, and log the warnings that Celery gives before it sets up logging."""
    try:
        config = ConfigManager().load_config()
    except DataWorksError:
        return  # what follows says so
    if config.log_format != "json":
        return
    instance.quiet = True
    set_up_logging(config)
    logging.captureWarnings(True)
    # Celery writes as text there that the worker ends; ``_say_the_end`` logs that instead.
    sys.__stdout__ = None  # type: ignore[misc]
    worker_shutting_down.connect(_say_the_end, weak=False)


@celeryd_after_setup.connect
def _say_the_beginning(instance: Any, **_: Any) -> None:
    """Log what the banner would show."""
    if instance.quiet:
        fields = {
            "worker": str(instance.hostname),
            "queues": ",".join(sorted(instance.app.amqp.queues.consume_from)),
            "processes": instance.concurrency,
            "version": __version__,
        }
        logging.getLogger(__name__).info("the worker starts", extra={"fields": fields})


def _say_the_end(how: str, **_: Any) -> None:
    """Log that the worker ends. It is a signal handler, so it writes at once and takes no lock."""
    record = logging.LogRecord(
        __name__, logging.INFO, __file__, 0, f"{how.lower()} shutdown", None, None
    )
    os.write(sys.stderr.fileno(), JsonFormatter().format(record).encode() + b"\n")


@setup_logging.connect
def _instead_of_celery(logfile: str | None = None, **_: Any) -> None:
    try:
        config = ConfigManager().load_config()
    except DataWorksError as error:
        raise SystemExit(f"dataworks: {error}") from None
    set_up_logging(config, logfile)
