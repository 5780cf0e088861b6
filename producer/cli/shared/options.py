"""Options that commands share, and the context that a command gets besides its own options."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataworks_tasks.errors import DataWorksError
from dataworks_tasks.numerals import parse_count
from dataworks_tasks.runs.bounds import MAX_BATCH_SIZE
from dataworks_tasks.runs.choices import Priority
from producer.cli.shared.completion import complete_profiles
from producer.cli.shared.connection_flags import NO_FLAGS, ConnectionFlags, connection_options
from producer.cli.shared.number import Number

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.console import Console

    from dataworks_tasks.ledger.run_flags import RunFlags
    from dataworks_tasks.settings import FrameworkConfig
    from producer.connections import Connections

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class CommandContext:
    """How a command reads settings and how it speaks."""

    profile: str | None
    as_json: bool
    flags: ConnectionFlags = NO_FLAGS
    workers: int | None = None

    @property
    def console(self) -> Console:
        """Where text for a person goes: standard error when standard output carries JSON."""
        from producer.cli.shared.console import create_console

        return create_console(stderr=self.as_json)

    @property
    def typed(self) -> RunFlags:
        """The flags that the commands which follow this one need, too."""
        workers = None if self.workers is None else str(self.workers)
        return replace(self.flags.public, profile=self.profile, workers=workers)

    def pasteable(self, text: str, of_run: RunFlags | None = None) -> str:
        """Complete the commands in ``text`` with the typed flags, and those of the run."""
        from producer.view.pasteable import pasteable

        return pasteable(text, self.typed, of_run)

    def print_hint(self, text: str, of_run: RunFlags | None = None, *, style: str = "") -> None:
        """Print a sentence for a person, with commands that can be pasted."""
        # A log keeps the line in one piece.
        line = self.pasteable(text, of_run)
        self.console.print(line, markup=False, soft_wrap=True, style=style)

    def config(self, **overrides: object) -> FrameworkConfig:
        """Load the settings; this folder's local services rank below the profile."""
        from dataworks_tasks.settings import ConfigManager

        return ConfigManager().load_config(
            profile=self.profile,
            overrides={**self.flags.settings, **overrides},
            defaults=_local_defaults(),
            typed=self.flags.typed,
        )

    def connections(self) -> AbstractContextManager[Connections]:
        """Return the connections of a command that only looks at runs."""
        from producer.cli.shared.command_connections import connections_to_look

        return connections_to_look(self.config())

    def run_connections(
        self,
        workers: int | None = None,
        *,
        detach: bool = False,
        check: Callable[[FrameworkConfig], object] = lambda _config: None,
        on_record: bool = False,
    ) -> AbstractContextManager[Connections]:
        """Return the connections of a command whose run needs workers.

        Workers are started for this command if ``workers`` says so, if no Redis is set, or if the
        workers of `dataworks local` cannot reach the databases of the flags, but not before the run
        is on record: bad requests are refused first, and ``check`` even before databases are
        reached. ``on_record``: the command is about a run that is on record already.
        """
        from producer.cli.shared.command_connections import RunNeeds, connections_to_run

        config = self.config()
        elsewhere = self._leaves_local_databases(config)
        needs = RunNeeds(workers, elsewhere, detach, self.profile, check, on_record)
        return connections_to_run(config, needs, self._say)

    def _leaves_local_databases(self, config: FrameworkConfig) -> bool:
        """Return whether the flags name databases that this folder's local workers do not have."""
        local = {} if self.flags.broker else _local_defaults()
        if not local or config.broker_url.get_secret_value() != local["BROKER_URL"]:
            return False
        settings = self.flags.settings
        return any(local.get(name, value) != value for name, value in settings.items())

    def _say(self, line: str) -> None:
        # A log keeps the line in one piece.
        self.console.print(line, markup=False, soft_wrap=True)

    def print_json(self, value: Mapping[str, Any]) -> None:
        """Print one JSON object, with the version of its schema, on a line of standard output."""
        from producer.view.schema_version import SCHEMA_VERSION

        line = json.dumps({"version": SCHEMA_VERSION, **value}, default=str)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def print_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Print each row as one JSON value."""
        for row in rows:
            self.print_json(row)


def _local_defaults() -> dict[str, str]:
    from producer.local.environment import LocalAddresses
    from producer.local.services_record import find_local_services

    services = find_local_services()
    if services is None or services.redis_url is None:
        return {}
    if services.mongodb_url is None:
        # A running command has started this Redis for itself; its databases are its own settings.
        return {"BROKER_URL": services.redis_url}
    target_url = services.urls.get("cosmos")
    settings = LocalAddresses(services.redis_url, services.mongodb_url, target_url).settings
    # The ledger follows the broker: if another broker is named, the local ledger is not used.
    return {name: value for name, value in settings.items() if name != "LEDGER_URL"}


def with_context(function: F) -> F:
    """Add ``--profile`` and ``--json`` and hand the command a CommandContext first."""

    @click.option(
        "--profile",
        metavar="NAME",
        shell_complete=complete_profiles,
        help="Settings from profiles/NAME.env.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @wraps(function)
    def wrapped(profile: str | None, as_json: bool, **values: Any) -> Any:
        return function(CommandContext(profile, as_json), **values)

    return wrapped  # type: ignore[return-value]


def with_connections(function: F) -> F:
    """Do the same as ``with_context``, and add ``--source``, ``--target`` and ``--broker``."""

    @connection_options
    @with_context
    @wraps(function)
    def wrapped(context: CommandContext, connection_flags: ConnectionFlags, **values: Any) -> Any:
        context = replace(context, flags=connection_flags, workers=values.get("workers"))
        try:
            return function(context, **values)
        except DataWorksError as error:
            error.remedy = context.pasteable(error.remedy)
            raise

    return wrapped  # type: ignore[return-value]


class Count(click.ParamType[int]):
    """A whole number within bounds, also as 1_000_000, 10k, 5M, 2G or 1e6."""

    name = "number"

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse a count."""
        try:
            number = value if isinstance(value, int) else parse_count(str(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)
        if number < self._least or (self._most is not None and number > self._most):
            self.fail(f"must be {self._bounds()}, not {value!r}", param, ctx)
        return number

    def _bounds(self) -> str:
        if self._most is None:
            return f"{self._least:,} or more"
        return f"between {self._least:,} and {self._most:,}"


def workers_option(function: F) -> F:
    """Add ``--workers``: processes that are started for this command alone."""
    return click.option(
        "--workers",
        type=Count(1, 512),
        metavar="N",
        help="Start N worker processes for this command only; the default if no Redis is set.",
    )(function)


class Seed(Count):
    """Any whole number, also negative, written like a count."""

    def __init__(self) -> None:
        super().__init__(-(10**30))


COUNT = Count()
RATE = Count(1)
SEED = Seed()
SCALE = Number(0, above=True)


class DurationType(click.ParamType[float]):
    """A time such as 90m, 8h or 2d, in seconds."""

    name = "duration"
    _SECONDS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse a duration in seconds."""
        text = str(value).strip().lower()
        factor = self._SECONDS.get(text[-1:])
        try:
            seconds = float(text[:-1]) * factor if factor else 0.0
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is not a time such as 90m, 8h or 2d", param, ctx)
        return seconds


DURATION = DurationType()


def run_options(function: F) -> F:
    """Add the flags of every command that starts a run, passed as one RunOptions."""

    @click.option(
        "--batch-size",
        type=Count(1, MAX_BATCH_SIZE),
        metavar="B",
        help="Documents per message; otherwise FRAMEWORK_BATCH_AGGREGATION_SIZE, 10,000.",
    )
    @click.option(
        "--write-concern",
        metavar="W",
        help="majority, or a number of nodes; otherwise FRAMEWORK_WRITE_CONCERN, majority.",
    )
    @click.option(
        "--on-error",
        type=click.Choice(["stop", "skip"]),
        default="skip",
        show_default=True,
        help="What to do when a document can never be written.",
    )
    @click.option(
        "--max-failures",
        type=COUNT,
        default=1000,
        show_default=True,
        metavar="N",
        help="Stop the run when more documents than this fail.",
    )
    @click.option(
        "--max-rate",
        type=RATE,
        metavar="R",
        help="Documents per second of the whole fleet; no limit if not given.",
    )
    @click.option(
        "--max-ru",
        type=RATE,
        metavar="R",
        help="Request units per second of the whole fleet at the target (Cosmos DB); no limit if "
        "not given.",
    )
    @click.option(
        "--priority",
        type=click.Choice([item.value for item in Priority]),
        default=Priority.NORMAL.value,
        show_default=True,
        help="Share of the workers' time that the run gets while other runs wait.",
    )
    @click.option(
        "--max-processes",
        type=Count(1),
        metavar="N",
        help="Worker processes that work on the run at once; all of them if not given.",
    )
    @click.option(
        "--run-name",
        metavar="NAME",
        help="Continue the run of this name if it exists, else start it: for jobs that are "
        "restarted.",
    )
    @click.option(
        "--shard-key", metavar="FIELD", help="Create target collections with this shard key."
    )
    @click.option(
        "--throughput",
        metavar="RU",
        help="Create target collections with 4000 or autoscale:40000 RU/s (Cosmos DB).",
    )
    @click.option("--drop", is_flag=True, help="Delete the target collections first.")
    @click.option(
        "--append",
        is_flag=True,
        help="Add to target collections that hold documents, or that another run writes into.",
    )
    @click.option("--verify", is_flag=True, help="Compare everything when the run is complete.")
    @click.option("--detach", is_flag=True, help="Start the run and leave it to the workers.")
    @wraps(function)
    def wrapped(*args: Any, **values: Any) -> Any:
        from dataworks_tasks.store.create_collection import CollectionLayout, Throughput
        from producer.start.run_request import RunOptions

        throughput = values.pop("throughput")
        layout = CollectionLayout(
            values.pop("shard_key"), Throughput.parse(throughput) if throughput else None
        )
        names = {item.name for item in fields(RunOptions)} & values.keys()
        flags = {name: values.pop(name) for name in names}
        flags["priority"] = Priority(flags["priority"])
        return function(*args, options=RunOptions(**flags, layout=layout), **values)

    return wrapped  # type: ignore[return-value]
