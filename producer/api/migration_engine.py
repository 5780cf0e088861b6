"""Start migration runs from a program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, overload

from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.migrate.factory import MigrationStrategyFactory, Strategy
from dataworks_tasks.runs.choices import OnDdl, Partitioner
from dataworks_tasks.runs.spec import RunSpec
from dataworks_tasks.settings import FrameworkConfig
from producer.api.check_type import check_run, checked
from producer.api.engine import Engine
from producer.api.event_loop import ProgressCallback
from producer.api.followed_run import FollowedRun
from producer.connections import Connections
from producer.drive.attach import set_going
from producer.resume.named_run import find_named_run
from producer.resume.spec_file import keep_spec
from producer.start.run_request import MigrationRequest
from producer.start.start_migration import start_migration
from producer.view.run_result import RunResult

_CONFIGURED = MigrationRequest()


class MigrationEngine(Engine):
    """Starts migration runs. It keeps no connection between two calls.

    Runs go to the workers of ``config``'s queue; with ``in_process`` this process does the work.
    """

    def __init__(self, config: FrameworkConfig, in_process: bool = False) -> None:
        super().__init__(config, in_process)
        self._strategy: str | None = None

    def set_migration_strategy(self, strategy: Strategy | str) -> None:
        """Use ``strategy`` (an object, a class, or the name of a known one) from now on.

        Without ``in_process`` the workers must know it too: name its module in their
        FRAMEWORK_PLUGINS. Raises SettingsError for a strategy without a name.
        """
        if not isinstance(strategy, str):
            strategy = MigrationStrategyFactory.register(strategy).name
        self._strategy = strategy

    @overload
    async def migrate(
        self, request: MigrationRequest = ..., *, follow: Literal[True]
    ) -> FollowedRun: ...

    @overload
    async def migrate(
        self,
        request: MigrationRequest = ...,
        *,
        follow: Literal[False] = ...,
        progress: ProgressCallback | None = ...,
    ) -> RunResult: ...

    async def migrate(
        self,
        request: MigrationRequest = _CONFIGURED,
        *,
        follow: bool = False,
        progress: ProgressCallback | None = None,
    ) -> RunResult | FollowedRun:
        """Copy what ``request`` includes; by default the source collection of the settings.

        With ``follow`` the workers copy and then follow the source; the run is returned at once,
        to be cut over later. Otherwise ``progress`` is called with a RunStatus a few times a
        second, on the event loop. Raises UsageError before anything is written, RunFailed when the
        run stops. Cancelling leaves a run that can be resumed.
        """
        request = checked("request", request, MigrationRequest)
        for name, choices in (("partitioner", Partitioner), ("on_ddl", OnDdl)):
            if (chosen_name := getattr(request, name)) not in list(choices):
                raise UnknownName.among(name, chosen_name, choices)
        wanted = replace(request, strategy=self._strategy) if self._strategy else request

        def start(connections: Connections) -> RunSpec:
            chosen = replace(wanted, follow=True) if follow else wanted
            known = find_named_run(connections, chosen)
            return known or start_migration(chosen, self._config, connections)

        if not follow:
            return await self._stay(start, progress)
        if self._in_process:
            raise UsageError(
                "a migration that follows its source needs workers", "Leave in_process out"
            )
        return await asyncio.to_thread(_start_following, self._config, start)

    def followed_run(self, run_id: str) -> FollowedRun:
        """Return a run that follows its source, to wait for it or to cut it over."""
        check_run(run_id)
        return FollowedRun(self._config, run_id)


def create_migration_engine(config: FrameworkConfig, in_process: bool = False) -> MigrationEngine:
    """Create an engine for migration runs. It connects when a run starts."""
    return MigrationEngine(config, in_process)


def _start_following(
    config: FrameworkConfig, start: Callable[[Connections], RunSpec]
) -> FollowedRun:
    with Connections(config) as connections:
        spec = start(connections)
        keep_spec(spec)
        set_going(connections, spec)
    return FollowedRun(config, spec.run_id)
