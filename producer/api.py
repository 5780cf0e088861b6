"""The Python API: start a run from a program and wait for its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Literal, overload

from dataworks_tasks.errors import LedgerUnavailable, RunFailed, UnknownName, UsageError
from dataworks_tasks.generate.custom.base import BaseDataGenerator, GeneratorType
from dataworks_tasks.ledger.contract import WORKING, RunProgress, RunState
from dataworks_tasks.migrate.factory import MigrationStrategyFactory, Strategy
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import RunKind, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.cutover.cut_over import CutOverRequest
from producer.cutover.cut_over_run import cut_over_run
from producer.drive.attach import set_going, stay
from producer.drive.in_process import work_here
from producer.drive.observation import Observation, StopRequest
from producer.resume.continue_run import continue_run
from producer.resume.named_run import find_named_run
from producer.resume.spec_file import keep_spec
from producer.start.run_request import GenerationRequest, MigrationRequest, RunOptions
from producer.start.start_generation import start_generation
from producer.start.start_migration import start_migration
from producer.view.follow_figures import Phase, follow_figures
from producer.view.progress import notice
from producer.view.run_summary import summarize

log = logging.getLogger(__name__)

_DEFAULT_OPTIONS = RunOptions()
_CAREFUL = CutOverRequest()
_LOOK_SECONDS = 0.2
_CONFIGURED = MigrationRequest()


@dataclass(frozen=True, slots=True)
class RunResult:
    """The outcome of a run. ``failures`` are documents on record that could not be written.

    ``remarks``: what else to read before the result is used, such as a mask that matched nothing,
    or what the source changed while it was copied.
    """

    run_id: str
    state: RunState
    documents: int
    bytes: int
    seconds: float
    failures: int
    remarks: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        """Documents per second on average."""
        return self.documents / self.seconds if self.seconds > 0 else 0.0


class DataGenerationEngine:
    """Starts generation runs. It keeps no connection between two calls.

    Runs go to the workers of ``config``'s queue; with ``in_process`` this process does the work.
    """

    def __init__(self, config: FrameworkConfig, in_process: bool = False) -> None:
        self._config = config
        self._in_process = in_process
        self._generators: dict[str, BaseDataGenerator] = {}

    def register_generator(self, generator: BaseDataGenerator) -> None:
        """Make ``generator`` known by its name and its type to the runs of this engine.

        Without ``in_process`` the workers must know it too: name its module in their
        FRAMEWORK_PLUGINS.
        """
        self._generators[generator.name] = generator

    async def generate_data(
        self,
        what: GeneratorType | str,
        total: int | None = None,
        namespace: str | None = None,
        seed: int | None = None,
        options: RunOptions = _DEFAULT_OPTIONS,
    ) -> RunResult:
        """Generate ``total`` documents into ``namespace`` (``DATABASE.COLLECTION``).

        ``what`` is a template's name or ``.json`` file or a generator's name. A GeneratorType means
        the generator registered last for it, else the built-in template. Raises UsageError before
        anything is written, RunFailed when the run stops. Cancelling leaves a run that can be
        resumed.
        """
        where = Namespace.parse(namespace) if namespace else None
        request = GenerationRequest(
            what=self._name_of(what),
            total=total,
            database=where.database if where else None,
            collection=where.collection if where else None,
            seed=seed,
            options=options,
        )
        generators = tuple(self._generators.values())
        return await _in_thread(
            self._run,
            lambda connections: (
                find_named_run(connections, options.run_name, RunKind.GENERATION, total)
                or start_generation(request, self._config, connections, generators)
            ),
        )

    async def resume(self, run_id: str) -> RunResult:
        """Resume a run: send its gaps, and nothing else."""
        return await _in_thread(self._run, lambda connections: continue_run(connections, run_id))

    def _name_of(self, what: GeneratorType | str) -> str:
        if not isinstance(what, GeneratorType):
            return what
        for generator in reversed(self._generators.values()):
            if generator.generator_type is what:
                return generator.name
        if what is GeneratorType.CUSTOM:
            raise UnknownName("no custom generator is registered", "Call register_generator first")
        return what.value

    def _run(self, start: Callable[[Connections], RunSpec], stop: Event) -> RunResult:
        generators = tuple(self._generators.values())
        return _run(self._config, start, stop, generators if self._in_process else None)


@dataclass(frozen=True, slots=True)
class FollowedRun:
    """A migration that follows its source until it is cut over."""

    config: FrameworkConfig
    run_id: str

    async def caught_up(self, lag_seconds: float = 10.0) -> float:
        """Wait until the copy is done and the target is at most so far behind; return the lag.

        Raises RunFailed when the run stops meanwhile.
        """
        while True:
            lag = await asyncio.to_thread(self._lag)
            if lag is not None and lag <= lag_seconds:
                return lag
            await asyncio.sleep(_LOOK_SECONDS)

    async def cutover(self, request: CutOverRequest = _CAREFUL) -> RunResult:
        """Finish the run: drain, verify, build unique indexes, complete.

        The writers of the source have to stop before. Raises UsageError when something is not
        right, and what stopped a step; the run follows on then, and the call can be repeated.
        Cancelling gives up at the next step.
        """
        run = partial(self._cut_over, request)
        return await _in_thread(run, lambda connections: connections.ledger.spec(self.run_id))

    def _lag(self) -> float | None:
        with Connections(self.config) as connections:
            ledger = connections.ledger
            spec, progress = ledger.spec(self.run_id), ledger.progress(self.run_id)
            if progress.state not in WORKING:
                reason = progress.last_error or f"run {self.run_id} is {progress.state}"
                raise RunFailed(reason, _resume(self.run_id))
            figures = follow_figures(ledger, spec, progress)
        is_copied = figures is not None and figures.phase is not Phase.COPYING
        return figures.lag_seconds if figures is not None and is_copied else None

    def _cut_over(
        self, request: CutOverRequest, _start: Callable[[Connections], RunSpec], stop: Event
    ) -> RunResult:
        def say(line: str) -> None:
            log.info("%s: %s", self.run_id, line)
            if stop.is_set():
                raise RunFailed("the cut-over was given up", _resume(self.run_id))

        def stop_request() -> StopRequest:
            return StopRequest.NOW if stop.is_set() else StopRequest.NONE

        with Connections(self.config) as connections:
            progress = cut_over_run(connections, self.run_id, request, say, stop_request)
            return _result(connections.ledger.spec(self.run_id), progress)


class MigrationEngine:
    """Starts migration runs. It keeps no connection between two calls.

    Runs go to the workers of ``config``'s queue; with ``in_process`` this process does the work.
    """

    def __init__(self, config: FrameworkConfig, in_process: bool = False) -> None:
        self._config = config
        self._in_process = in_process
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
        self, request: MigrationRequest = ..., *, follow: Literal[False] = ...
    ) -> RunResult: ...

    async def migrate(
        self, request: MigrationRequest = _CONFIGURED, *, follow: bool = False
    ) -> RunResult | FollowedRun:
        """Copy what ``request`` includes; by default the source collection of the settings.

        With ``follow`` the workers copy and then follow the source; the run is returned at once,
        to be cut over later. Raises UsageError before anything is written, RunFailed when the run
        stops. Cancelling leaves a run that can be resumed.
        """
        wanted = replace(request, strategy=self._strategy) if self._strategy else request

        def start(connections: Connections) -> RunSpec:
            name = wanted.options.run_name
            known = find_named_run(connections, name, RunKind.MIGRATION)
            chosen = replace(wanted, follow=True) if follow else wanted
            return known or start_migration(chosen, self._config, connections)

        if not follow:
            return await _in_thread(self._run, start)
        if self._in_process:
            raise UsageError(
                "a migration that follows its source needs workers", "Leave in_process out"
            )
        return await asyncio.to_thread(_start_following, self._config, start)

    def followed_run(self, run_id: str) -> FollowedRun:
        """Return a run that follows its source, to wait for it or to cut it over."""
        return FollowedRun(self._config, run_id)

    async def resume(self, run_id: str) -> RunResult:
        """Resume a run: send its gaps, and nothing else."""
        return await _in_thread(self._run, lambda connections: continue_run(connections, run_id))

    def _run(self, start: Callable[[Connections], RunSpec], stop: Event) -> RunResult:
        return _run(self._config, start, stop, () if self._in_process else None)


def create_generation_engine(
    config: FrameworkConfig, in_process: bool = False
) -> DataGenerationEngine:
    """Create an engine for generation runs. It connects when a run starts."""
    return DataGenerationEngine(config, in_process)


def create_migration_engine(config: FrameworkConfig, in_process: bool = False) -> MigrationEngine:
    """Create an engine for migration runs. It connects when a run starts."""
    return MigrationEngine(config, in_process)


async def _in_thread(
    run: Callable[[Callable[[Connections], RunSpec], Event], RunResult],
    start: Callable[[Connections], RunSpec],
) -> RunResult:
    """Run beside the event loop. A cancelled caller waits until the run is left in good order."""
    stop = Event()
    running = asyncio.ensure_future(asyncio.to_thread(run, start, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([running])
        raise


def _run(
    config: FrameworkConfig,
    start: Callable[[Connections], RunSpec],
    stop: Event,
    here: Sequence[BaseDataGenerator] | None,
) -> RunResult:
    """Start a run and stay with it; ``here`` are the generators of a run in this process."""

    def stop_request() -> StopRequest:
        return StopRequest.NOW if stop.is_set() else StopRequest.NONE

    with Connections(config, in_process=here is not None) as connections:
        spec = start(connections)
        keep_spec(spec)
        observe = _log_notices(spec.run_id)
        if here is not None:
            progress = work_here(connections, spec, here, observe, stop_request)
        else:
            attached = stay(connections, spec, observe, stop_request)
            if attached is None:
                raise LedgerUnavailable("Redis never answered", _resume(spec.run_id))
            progress = attached
    if progress.state is RunState.FAILED:
        raise RunFailed(progress.last_error or f"run {spec.run_id} failed", _resume(spec.run_id))
    return _result(spec, progress)


def _result(spec: RunSpec, progress: RunProgress) -> RunResult:
    run = summarize(spec, progress)
    return RunResult(
        run.run_id, run.state, run.documents, run.bytes, run.seconds, run.failures, run.to_read
    )


def _start_following(
    config: FrameworkConfig, start: Callable[[Connections], RunSpec]
) -> FollowedRun:
    with Connections(config) as connections:
        spec = start(connections)
        keep_spec(spec)
        set_going(connections, spec)
    return FollowedRun(config, spec.run_id)


def _resume(run_id: str) -> str:
    return f"Continue with: dataworks resume {run_id}"


def _log_notices(run_id: str) -> Callable[[Observation], None]:
    last = ""

    def observe(observation: Observation) -> None:
        nonlocal last
        text = notice(observation)
        if text and text != last:
            log.warning("run %s: %s", run_id, text)
        last = text

    return observe
