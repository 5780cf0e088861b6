"""The validated settings of one process: names, defaults, bounds, and what each means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from dataworks_tasks.runs.bounds import MAX_BATCH_SIZE, SHORTEST_WEB_SECRET, WRITE_CONCERN
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.settings.redis_address import check_address


def _split(value: object) -> object:
    return (
        tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value
    )


CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_split)]


def _pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [
        tuple(map(str.strip, item.split("=")))
        for item in filter(None, map(str.strip, value.split(",")))
    ]
    for pair in pairs:
        if len(pair) != 2:
            raise ValueError(f"{'='.join(pair)!r} is not PACKAGE=LEVEL")
    return tuple(pairs)


Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Levels = Annotated[tuple[tuple[str, Level], ...], BeforeValidator(_pairs)]


class FrameworkConfig(BaseModel):
    """Validated settings of one process; frozen. Made by ``ConfigManager``, or by keyword."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    _flags: Mapping[str, str] = PrivateAttr(default_factory=dict)

    profile: str | None = Field(default=None, description="name of the profile that was read")
    broker_url: SecretStr = Field(
        default=SecretStr("redis://localhost:6379/0"),
        description="Redis that carries the messages: redis://, rediss:// or sentinel://",
    )
    ledger_url: SecretStr | None = Field(
        default=None, description="Redis that keeps the ledger; the broker when it is not set"
    )
    queue: str = Field(
        default="dataworks",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="queue of the messages; fleets that share a Redis use one each",
    )
    source: DatabaseConfig | None = None
    target: DatabaseConfig | None = None
    batch_aggregation_size: int = Field(
        default=10_000,
        ge=1,
        le=MAX_BATCH_SIZE,
        description="documents of one batch range or slice, which is one message",
    )
    batch_aggregation_timeout_ms: int = Field(
        default=5_000,
        ge=1,
        description="longest time a worker holds generated documents back to fill a write",
    )
    source_db_batch_size: int = Field(
        default=5_000,
        ge=1,
        description="documents that a cursor on the source returns per round trip",
    )
    write_workers: int = Field(
        default=2, ge=1, le=64, description="generation: writes in flight per worker process"
    )
    generation_workers: int | None = Field(
        default=None,
        ge=1,
        le=512,
        description="processes of a worker, whatever starts it; one per core if not set",
    )
    max_insert_workers: int = Field(
        default=2, ge=1, le=64, description="migration: writes in flight per worker process"
    )
    parallel_cursors: int = Field(
        default=2, ge=1, le=64, description="migration: slices read at once per worker process"
    )
    write_concern: str = Field(
        default="majority",
        pattern=f"^({WRITE_CONCERN})$",
        description="write concern at the target: majority, or a number of nodes",
    )
    range_seconds: float = Field(
        default=30.0,
        gt=0,
        le=60,
        description="longest time a worker spends on one message; the rest returns to the queue",
    )
    stall_seconds: float = Field(
        default=15.0,
        gt=0,
        description="time in which a run is checked for lost messages at least twice",
    )
    claim_seconds: float = Field(
        default=30.0,
        ge=1,
        le=600,
        description="repair and live migration: a process that is silent for this long loses its "
        "key window to another",
    )
    stale_read_seconds: float = Field(
        default=10.0,
        ge=0,
        le=600,
        description="live migration from Azure accounts: a read may be this much older than a "
        "change that was seen; keys wait this long, and are reconciled twice",
    )
    delete_scan_seconds: float = Field(
        default=900.0,
        ge=1,
        le=86_400,
        description="live migration from Cosmos DB: how often to look for documents that the "
        "source no longer has",
    )
    late_write_seconds: float = Field(
        default=180.0,
        ge=1,
        le=3600,
        description="repair and live migration: a write of a process that lost its key "
        "window may arrive this much later; then the window is reconciled once more",
    )
    plugins: CommaSeparated = Field(
        default=(),
        description="modules or .py files with generators and strategies, separated by commas; "
        "loaded only from this process' own settings",
    )
    log_format: str = Field(
        default="text", pattern="^(text|json)$", description="log lines as text or json"
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="least severe level that is logged: DEBUG, INFO, WARNING or ERROR",
    )
    log_levels: Levels = Field(
        default=(),
        description="levels of single packages, separated by commas: celery=WARNING,pymongo=DEBUG",
    )
    alert_error_rate: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="alert when more than this share of a run's documents failed; "
        "0 switches it off",
    )
    alert_min_rate: float = Field(
        default=0.0,
        ge=0,
        description="alert when a run writes fewer documents a second than this; 0 switches it off",
    )
    alert_stall_seconds: float = Field(
        default=120.0,
        ge=0,
        description="alert when nothing was acknowledged for this long; 0 switches it off",
    )
    alert_throttled_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="alert when workers wait more than this share of their time for a throttled "
        "target; 0 switches it off",
    )
    alert_worker_memory_mb: float = Field(
        default=550.0,
        ge=0,
        description="alert when one worker process used more megabytes than this; "
        "0 switches it off",
    )
    alert_gap_seconds: float = Field(
        default=300.0,
        ge=0,
        description="alert when the first range that is not acknowledged is older than this; "
        "0 switches it off",
    )
    alert_lag_seconds: float = Field(
        default=300.0,
        ge=0,
        description="alert when the target is further than this behind a source that is followed; "
        "0 switches it off",
    )
    alert_history_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="alert when the source's change history reaches back less than this before the "
        "run's position, and less than the lag; 0 switches it off",
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None, description="address that alerts are posted to as JSON: http:// or https://"
    )

    web_password: SecretStr | None = Field(
        default=None,
        description="password that `dataworks web` asks visitors for, without --password-file",
    )
    web_token: SecretStr | None = Field(
        default=None,
        description="token with which programs access `dataworks web`, without --token-file",
    )

    @field_validator("broker_url", "ledger_url")
    @classmethod
    def _is_a_redis_address(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value:
            carries_messages = info.field_name == "broker_url"
            check_address(value.get_secret_value(), carries_messages=carries_messages)
        return value

    @field_validator("web_password", "web_token")
    @classmethod
    def _is_hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value()) < SHORTEST_WEB_SECRET:
            raise ValueError(f"it needs at least {SHORTEST_WEB_SECRET} characters")
        return value

    @field_validator("alert_webhook_url")
    @classmethod
    def _is_a_web_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("it must begin with http:// or https://")
        return value

    @property
    def effective_ledger_url(self) -> SecretStr:
        """Where the ledger is."""
        return self.ledger_url or self.broker_url

    @property
    def worker_processes(self) -> int:
        """How many processes a worker on this machine has, unless a flag says otherwise."""
        return self.generation_workers or os.cpu_count() or 1

    def typed(self, flags: Mapping[str, str]) -> Self:
        """Return the same settings, some of them typed as flags: setting name -> flag."""
        copy = self.model_copy()
        copy._flags = dict(flags)
        return copy

    def flag(self, name: str) -> str | None:
        """Return the flag by which a person set the setting of that name, such as ``--target``."""
        return self._flags.get(name)

    def called(self, name: str) -> str:
        """Return what a person can change: the flag that was typed, or else the setting."""
        return self.flag(name) or f"FRAMEWORK_{name}"
