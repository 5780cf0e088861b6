"""The connections of a command, and the services that it starts if no Redis is set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dataworks_tasks.errors import UsageError
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.local.known_redis import ledger_is_kept, redis_is_set, refuse_redis_of_a_command


@dataclass(frozen=True, slots=True)
class RunNeeds:
    """What a command needs from workers.

    ``workers``: processes to start for it alone. ``elsewhere``: the existing workers do not reach
    its databases. ``check`` refuses impossible requests before anything is started. ``on_record``:
    the command is about a run that is on record.
    """

    workers: int | None
    elsewhere: bool
    detach: bool
    profile: str | None
    check: Callable[[FrameworkConfig], object]
    on_record: bool = False


@contextmanager
def connections_to_look(config: FrameworkConfig) -> Iterator[Connections]:
    """Connect; if no Redis is set, start one on the ledger of an earlier command meanwhile."""
    if redis_is_set(config) or not ledger_is_kept():
        with Connections(config) as connections:
            yield connections
        return
    from producer.local.own_services import own_redis

    with own_redis(config) as reaching, Connections(reaching, alone=True) as connections:
        yield connections


@contextmanager
def connections_to_run(
    config: FrameworkConfig, needs: RunNeeds, say: Callable[[str], None]
) -> Iterator[Connections]:
    """Connect; if the command needs them, prepare workers, and Redis if none is set."""
    has_redis = redis_is_set(config)
    refuse_redis_of_a_command(config)
    if (has_redis and not needs.workers and not needs.elsewhere) or (
        needs.on_record and not has_redis and not ledger_is_kept()
    ):
        with Connections(config) as connections:
            yield connections
        return
    if needs.detach:
        raise UsageError(
            "--detach and --follow leave the run to workers that keep running, and those of this "
            "command end with it",
            "Leave the flag out, or start services that keep running: dataworks local",
        )
    needs.check(config)
    _reach_databases(config)
    from producer.local.own_services import OwnServices

    with (
        OwnServices(config, needs.profile, needs.workers, say) as services,
        Connections(config, services=services) as connections,
    ):
        yield connections


def _reach_databases(config: FrameworkConfig) -> None:
    """Raise UsageError for a database that cannot be reached, before anything is started."""
    with Connections(config) as connections:
        for side in ("source", "target"):
            if getattr(config, side) is not None:
                getattr(connections, side)
