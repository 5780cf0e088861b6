"""Settings: every name, what it means, and the layers they come from.

Later layers win: defaults, ``profiles/<name>.env``, ``.env_local``, environment, flags.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

from dataworks_tasks.errors import SettingsError, UnknownName, nearest_or_all
from dataworks_tasks.numerals import parse_count
from dataworks_tasks.runs.bounds import MAX_BATCH_SIZE, SHORTEST_WEB_SECRET, WRITE_CONCERN
from dataworks_tasks.settings.address_syntax import ENCODE_COMMAND, check_syntax
from dataworks_tasks.settings.database import DatabaseConfig
from dataworks_tasks.settings.redis_address import check_address


def _split(value: object) -> object:
    return (
        tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value
    )


CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_split)]


def _pairs(value: object) -> object:
    return (
        tuple(tuple(map(str.strip, item.split("="))) for item in filter(None, value.split(",")))
        if isinstance(value, str)
        else value
    )


Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Levels = Annotated[tuple[tuple[str, Level], ...], BeforeValidator(_pairs)]


class FrameworkConfig(BaseModel):
    """Validated settings of one process; frozen. Made by ``ConfigManager``, or by keyword."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

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
        description="processes of one `celery worker` (its concurrency); one per core if not set",
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
        description="a run is checked for lost messages at least twice in this time",
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
        "change that was seen; keys wait so long, and are reconciled twice",
    )
    delete_scan_seconds: float = Field(
        default=900.0,
        ge=1,
        le=86_400,
        description="live migration from Cosmos DB: how often to look for documents that the "
        "source has no more",
    )
    late_write_seconds: float = Field(
        default=180.0,
        ge=1,
        le=3600,
        description="repair and live migration: a write of such a process may arrive this much "
        "later; its window is reconciled once more then",
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
        description="alert when a larger share of a run's documents failed; 0 switches it off",
    )
    alert_min_rate: float = Field(
        default=0.0,
        ge=0,
        description="alert when a run makes fewer documents a second; 0 switches it off",
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
        description="alert when workers wait a larger share of their time for a throttled target; "
        "0 switches it off",
    )
    alert_worker_memory_mb: float = Field(
        default=550.0,
        ge=0,
        description="alert when one worker process used more megabytes; 0 switches it off",
    )
    alert_gap_seconds: float = Field(
        default=300.0,
        ge=0,
        description="alert when the first range that is not acknowledged is older; "
        "0 switches it off",
    )
    alert_lag_seconds: float = Field(
        default=300.0,
        ge=0,
        description="alert when the target is further behind a source that is followed; "
        "0 switches it off",
    )
    alert_history_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="alert when the source's change history reaches back less before the run's "
        "position, and less than the lag; 0 switches it off",
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
        description="token that lets programs in at `dataworks web`, without --token-file",
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


_MISSPELT = 0.85
"""From here on two names are so similar that one is meant to be the other."""

_DATABASE_NAMES = {
    "CONNECTION_STRING": "connection_string",
    "NAME": "database_name",
    "COLLECTION": "collection_name",
    "TYPE": "db_type",
    "MAX_POOL_SIZE": "max_pool_size",
    "MIN_POOL_SIZE": "min_pool_size",
    "MAX_IDLE_TIME_MS": "max_idle_time_ms",
    "LARGE_DOCUMENTS": "large_documents",
    "WARMUP_CONNECTIONS": "warmup_connections",
}


class SettingName(NamedTuple):
    """A setting: its name without the prefix, its place in the config, and what it means."""

    name: str
    place: tuple[str, ...]
    description: str
    default: object
    is_count: bool = False
    """Whether it is a whole number, which may be written like 10k."""


def known_settings() -> Iterator[SettingName]:
    """Every setting there is."""
    for name, field in FrameworkConfig.model_fields.items():
        if name not in {"source", "target"}:
            yield SettingName(
                name.upper(), (name,), field.description or "", field.default, _is_count(field)
            )
    for side in ("source", "target"):
        for name, attribute in _DATABASE_NAMES.items():
            field = DatabaseConfig.model_fields[attribute]
            default = None if field.is_required() else field.default
            yield SettingName(
                f"{side.upper()}_DB_{name}",
                (side, attribute),
                field.description or "",
                default,
                _is_count(field),
            )


def _is_count(field: FieldInfo) -> bool:
    return field.annotation in (int, int | None)


def _without_suffix(text: str) -> str:
    """Write a count such as 10k in digits; leave other text to the check of its setting."""
    try:
        return str(parse_count(text))
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    origin: str


class ConfigManager:
    """Reads settings whose names begin with ``prefix`` and an underscore."""

    def __init__(self, prefix: str = "FRAMEWORK") -> None:
        self.prefix = prefix

    def load_config(
        self,
        env_file: str | Path = ".env_local",
        profile: str | None = None,
        overrides: Mapping[str, object] | None = None,
        defaults: Mapping[str, str] | None = None,
    ) -> FrameworkConfig:
        """Load the settings of this process.

        ``overrides`` (names without prefix, from flags) win over everything; ``defaults`` rank
        below the profile. A missing ``env_file`` is not an error. Raises SettingsError that names
        the setting, where it was set and what is accepted, and UnknownName for a profile that does
        not exist.
        """
        flags = {
            key: _Value(str(v), "a flag") for key, v in (overrides or {}).items() if v is not None
        }
        environment = self._own(os.environ, "the environment")
        in_file = read_env_file(Path(env_file))
        self._refuse_misspelt(in_file, str(env_file))
        local = self._own(in_file, str(env_file))
        chosen = profile or next(
            (layer["PROFILE"].text for layer in (environment, local) if "PROFILE" in layer), None
        )
        base = {key: _Value(value, "local services") for key, value in (defaults or {}).items()}
        from_profile = self._profile(chosen) if chosen else {}
        values = base | from_profile | local | environment | flags
        if chosen:
            values["PROFILE"] = _Value(chosen, "the profile's name")
        return self._build(values)

    def _own(self, values: Mapping[str, str | None], origin: str) -> dict[str, _Value]:
        start = f"{self.prefix}_"
        return {
            key.removeprefix(start): _Value(value, origin)
            for key, value in values.items()
            if key.startswith(start) and value
        }

    def _refuse_misspelt(self, names: Iterable[str], origin: str) -> None:
        """Raise SettingsError for a name that is meant to be a setting and lacks the prefix."""
        known = [f"{self.prefix}_{setting.name}" for setting in known_settings()]
        for name in names:
            if name.startswith(f"{self.prefix}_"):
                continue
            whole = f"{self.prefix}_{name.upper()}"
            near = get_close_matches(name.upper(), known, n=1, cutoff=_MISSPELT)
            meant = whole if whole in known else next(iter(near), None)
            if meant is not None:
                raise SettingsError(f"unknown setting {name} in {origin}", f"Did you mean {meant}?")

    def _profile(self, name: str) -> dict[str, _Value]:
        path = profile_paths().get(name)
        if path is None:
            raise UnknownName.among("profile", name, profile_paths())
        return self._own(read_env_file(path), f"profiles/{path.name}")

    def _build(self, values: Mapping[str, _Value]) -> FrameworkConfig:
        known = {setting.name: setting for setting in known_settings()}
        tree: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                full_name = f"{self.prefix}_{name}"
                hint = nearest_or_all(
                    full_name, [f"{self.prefix}_{known_name}" for known_name in known]
                )
                raise SettingsError(f"unknown setting {full_name} in {value.origin}", hint)
            *parents, last = known[name].place
            branch = tree
            for parent in parents:
                branch = branch.setdefault(parent, {})
            branch[last] = _without_suffix(value.text) if known[name].is_count else value.text
        _drop_unconnected(tree)
        self._check_databases(tree, values)
        try:
            return FrameworkConfig(**tree)
        except ValidationError as error:
            raise self._problem(error, values, known) from None

    def _check_databases(self, tree: Mapping[str, Any], values: Mapping[str, _Value]) -> None:
        """Raise SettingsError for a connection string that reads in more than one way."""
        for side in ("source", "target"):
            address = tree.get(side, {}).get("connection_string", "")
            try:
                if address.startswith(("mongodb://", "mongodb+srv://")):
                    check_syntax(address)
            except ValueError as error:
                name = f"{side.upper()}_DB_CONNECTION_STRING"
                raise SettingsError(
                    f"{self.prefix}_{name} in {values[name].origin}: {error}", ENCODE_COMMAND
                ) from None

    def _problem(
        self, error: ValidationError, values: Mapping[str, _Value], known: Mapping[str, SettingName]
    ) -> SettingsError:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = tuple(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        setting = next((s for s in known.values() if place[: len(s.place)] == s.place), None)
        if setting is None:
            return SettingsError(f"settings are not valid: {message}")
        origin = values[setting.name].origin if setting.name in values else "the defaults"
        return SettingsError(
            f"{self.prefix}_{setting.name} in {origin}: {message}",
            f"It is the {setting.description}",
        )


def _drop_unconnected(tree: dict[str, Any]) -> None:
    """Ignore a database section without a connection string: a profile may only tune a pool."""
    for side in ("source", "target"):
        if side in tree and "connection_string" not in tree[side]:
            del tree[side]


def read_env_file(path: Path = Path(".env_local")) -> Mapping[str, str | None]:
    """Read the variables of a file, exactly as written; none where there is no such file."""
    return dotenv_values(path, interpolate=False) if path.is_file() else {}


def profile_paths() -> dict[str, Path]:
    """Profiles by name: those in ``./profiles``, else those that came with the package."""
    package = Path(__file__).parent.parent
    found: dict[str, Path] = {}
    for folder in (package.parent / "profiles", package / "profiles", Path("profiles")):
        found |= {path.stem: path for path in sorted(folder.glob("*.env"))}
    return found
