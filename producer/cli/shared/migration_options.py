"""Options that say what a migration copies, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dataworks_tasks.errors import UsageError
from dataworks_tasks.runs.choices import (
    ID_FROM_SHARD_KEY,
    IndexPolicy,
    OnConflict,
    OnDdl,
    Partitioner,
)
from producer.cli.shared.number import Number
from producer.cli.shared.options import SEED

if TYPE_CHECKING:
    from producer.start.run_request import MigrationRequest, RunOptions

F = TypeVar("F", bound=Callable[..., Any])
_CONFLICTS = click.Choice([item.value for item in OnConflict])
_INDEXES = click.Choice([item.value for item in IndexPolicy])
_PARTITIONERS = click.Choice([each.value for each in Partitioner])
_FLAGS = (
    "include",
    "exclude",
    "to",
    "mappings",
    "views",
    "strategy",
    "query",
    "rename",
    "drop_field",
    "set_",
    "mask",
    "mask_seed",
    "id_from",
    "on_conflict",
    "indexes",
    "partitioner",
    "follow",
    "on_ddl",
    "different_servers",
    "allow_unmatched",
)


def migration_options(function: F) -> F:
    """Add options that say what a migration copies; passed as ``flags``, by name."""

    @click.option(
        "--include",
        multiple=True,
        metavar="DB.COLL",
        help="What to copy; * matches anything; repeatable.",
    )
    @click.option("--exclude", multiple=True, metavar="DB.COLL", help="What to leave out.")
    @click.option("--to", metavar="DB.COLL", help="Target of a single collection.")
    @click.option(
        "--map", "mappings", multiple=True, metavar="A.*=B.*", help="Copy to other names."
    )
    @click.option("--views", is_flag=True, help="Also create the views that match.")
    @click.option(
        "--strategy",
        default="default",
        show_default=True,
        metavar="NAME",
        help="See: dataworks strategies.",
    )
    @click.option(
        "--filter",
        "query",
        metavar="JSON",
        help="Copy only documents that match this query, in Extended JSON.",
    )
    @click.option("--rename", multiple=True, metavar="A.B=C", help="Rename a field.")
    @click.option("--drop-field", multiple=True, metavar="A.B", help="Remove a field.")
    @click.option("--set", "set_", multiple=True, metavar="A.B=JSON", help="Set a field.")
    @click.option(
        "--mask",
        multiple=True,
        metavar="FIELD=faker:METHOD",
        help="Replace a value with an invented one; equal values stay equal.",
    )
    @click.option(
        "--mask-seed",
        type=SEED,
        default=0,
        show_default=True,
        metavar="S",
        help="A different seed gives different invented values.",
    )
    @click.option(
        "--id-from",
        type=click.Choice([ID_FROM_SHARD_KEY]),
        help="Build each _id from the old one and the source's shard key, where _ids would "
        "otherwise repeat.",
    )
    @click.option(
        "--on-conflict",
        type=_CONFLICTS,
        default="fail",
        show_default=True,
        help="What to do when the target holds another document with the same _id.",
    )
    @click.option(
        "--indexes",
        type=_INDEXES,
        default="after",
        show_default=True,
        help="When to build the source's indexes.",
    )
    @click.option(
        "--partitioner",
        type=_PARTITIONERS,
        default="auto",
        show_default=True,
        help="How the key space is cut into slices: walk reads the index, sample draws random "
        "keys, objectid-time splits ObjectIds by time, and auto chooses for the source.",
    )
    @click.option(
        "--follow",
        is_flag=True,
        help="After the copy, follow the source's changes until: dataworks cutover RUN.",
    )
    @click.option(
        "--on-ddl",
        type=click.Choice([item.value for item in OnDdl]),
        default=OnDdl.STOP.value,
        show_default=True,
        help="With --follow: what to do when a collection is dropped or renamed at the source.",
    )
    @click.option(
        "--different-servers",
        is_flag=True,
        help="Treat source and target as different servers, even if their collections have the "
        "same UUIDs, or none.",
    )
    @click.option(
        "--allow-unmatched",
        is_flag=True,
        help="Allow rules, filters and patterns that match nothing.",
    )
    @wraps(function)
    def wrapped(*args: Any, **values: Any) -> Any:
        flags = {name: values.pop(name) for name in _FLAGS}
        return function(*args, flags=flags, **values)

    return wrapped  # type: ignore[return-value]


def measuring_options(function: F) -> F:
    """Add options that say how the time is measured; passed as one Measuring."""

    @click.option(
        "--measure",
        "seconds",
        type=Number(0.5, 3600),
        default=3.0,
        show_default=True,
        metavar="S",
        help="Seconds that one process reads, or copies, to measure the speed: 0.5 to 3,600.",
    )
    @click.option(
        "--write-sample",
        is_flag=True,
        help="Also measure writing, into a temporary collection.",
    )
    @wraps(function)
    def wrapped(*args: Any, seconds: float, write_sample: bool, **values: Any) -> Any:
        from producer.estimate.assess_migration import Measuring

        return function(*args, measuring=Measuring(seconds, write_sample), **values)

    return wrapped  # type: ignore[return-value]


def migration_request(options: RunOptions, flags: Mapping[str, Any]) -> MigrationRequest:
    """Build the request from the options."""
    from dataworks_tasks.runs.spec import Transform
    from producer.start.run_request import MigrationRequest

    transform = Transform(
        rename=tuple(_pair("--rename", text) for text in flags["rename"]),
        drop=flags["drop_field"],
        set=tuple(_pair("--set", text) for text in flags["set_"]),
        mask=tuple(_pair("--mask", text) for text in flags["mask"]),
        mask_seed=flags["mask_seed"],
    )
    return MigrationRequest(
        include=flags["include"],
        exclude=flags["exclude"],
        to=flags["to"],
        mappings=flags["mappings"],
        views=flags["views"],
        strategy=flags["strategy"],
        filter=flags["query"],
        transform=transform,
        id_from=flags["id_from"],
        on_conflict=OnConflict(flags["on_conflict"]),
        indexes=IndexPolicy(flags["indexes"]),
        partitioner=flags["partitioner"],
        follow=flags["follow"],
        on_ddl=flags["on_ddl"],
        different_servers=flags["different_servers"],
        allow_unmatched=flags["allow_unmatched"],
        options=options,
    )


_FORMS = {"--rename": "OLD=NEW", "--set": "FIELD=JSON", "--mask": "FIELD=faker:METHOD"}
_EXAMPLES = {
    "--rename": "--rename address.zip=postcode",
    "--set": "--set archived=true",
    "--mask": "--mask email=faker:email",
}


def _pair(flag: str, text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not (left and equals and right):
        raise UsageError(f"{flag} {text} is not {_FORMS[flag]}", f"Write it like {_EXAMPLES[flag]}")
    return left, right
