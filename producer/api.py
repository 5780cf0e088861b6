"""The Python API: start a run from a program and wait for its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Literal, TypeVar, overload

from dataworks_tasks.errors import LedgerUnavailable, RunFailed, UnknownName, UsageError
from dataworks_tasks.generate.custom.base import BaseDataGenerator, GeneratorType
from dataworks_tasks.ledger.contract import WORKING, RunState
from dataworks_tasks.migrate.factory import MigrationStrategyFactory, Strategy
from dataworks_tasks.monitor.standstill import cause_of_standstill
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
from producer.resume.stop_run import stop_run
from producer.start.run_request import GenerationRequest, MigrationRequest, RunOptions
from producer.start.start_generation import start_generation
from producer.start.start_migration import start_migration
from producer.start.start_verification import start_verification
from producer.view.follow_figures import Phase, follow_figures
from producer.view.progress import notice
from producer.view.remaining_time import RemainingTime
from producer.view.run_result import RunResult, RunStatus
from producer.view.run_summary import summarize

T = TypeVar("T")
ProgressCallback = Callable[[RunStatus], object]
"""Called with how far the run is; what it returns does not matter."""

log = logging.getLogger(__name__)

_DEFAULT_OPTIONS = RunOptions()
_CAREFUL = CutOverRequest()
_LOOK_SECONDS = 0.2
_CONFIGURED = MigrationRequest()


class _Engine:
    """What both engines do with a run that exists. Nothing is kept between two calls."""

    def __init__(self, config: FrameworkConfig, in_process: bool = False) -> None:
        self._config = config
        self._in_process = in_process

    async def resume(self, run_id: str, progress: ProgressCallback | None = None) -> RunResult:
        """Resume a run: send its gaps, and nothing else."""
        return await self._stay(lambda connections: continue_run(connections, run_id), progress)

    async def verify(self, run_id: str, progress: ProgressCallback | None = None) -> RunResult:
        """Compare what the run should have written with its target, document by document.

        The result is that of the verification: its state is ``different`` when anything differs,
        and ``failures`` counts the documents.
        """
        return await self._stay(
            lambda connections: start_verification(run_id, connections), progress
        )

    async def status(self, run_id: str) -> RunStatus:
        """How far the run is. Raises UnknownName for a run that is not on record."""

        def look(connections: Connections) -> RunStatus:
            ledger = connections.ledger
            spec, progress = ledger.spec(run_id), ledger.progress(run_id)
            left = RemainingTime(spec, ledger.history.read(run_id)).observe(progress)
            cause = cause_of_standstill(ledger, progress)
            return RunStatus.of(summarize(spec, progress, cause=cause, seconds_left=left))

        return await asyncio.to_thread(self._look, look)

    async def pause(self, run_id: str) -> None:
        """Have workers leave the run alone until it is resumed.

        Raises UsageError for a run that has ended.
        """

        def stop(connections: Connections) -> None:
            stop_run(connections.ledger, run_id, RunState.PAUSED)

        await asyncio.to_thread(self._look, stop)

    def _look(self, ask: Callable[[Connections], T]) -> T:
        with Connections(self._config) as connections:
            return ask(connections)

    def _own_generators(self) -> Sequence[BaseDataGenerator]:
        """Return the generators for runs in this process."""
        return ()

    async def _stay(
        self, start: Callable[[Connections], RunSpec], progress: ProgressCallback | None
    ) -> RunResult:
        """Run beside the event loop. A cancelled caller waits until the run is in good order."""
        here = self._own_generators() if self._in_process else None
        show = _on_loop(progress)
        return await _beside_the_loop(lambda stop: _run(self._config, start, stop, here, show))


class DataGenerationEngine(_Engine):
    """Starts generation runs. It keeps no connection between two calls.

    Runs go to the workers of ``config``'s queue; with ``in_process`` this process does the work.
    """

    def __init__(self, config: FrameworkConfig, in_process: bool = False) -> None:
        super().__init__(config, in_process)
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
        progress: ProgressCallback | None = None,
    ) -> RunResult:
        """Generate ``total`` documents into ``namespace`` (``DATABASE.COLLECTION``).

        ``what`` is a template's name or ``.json`` file or a generator's name. A GeneratorType means
        the generator registered last for it, else the built-in template. ``progress`` is called
        with a RunStatus a few times a second, on the event loop. Raises UsageError before anything
        is written, RunFailed when the run stops. Cancelling leaves a run that can be resumed.
        """
        _check_request(what, total)
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
        return await self._stay(
            lambda connections: (
                find_named_run(connections, options.run_name, RunKind.GENERATION, total)
                or start_generation(request, self._config, connections, generators)
            ),
            progress,
        )

    def _name_of(self, what: GeneratorType | str) -> str:
        if not isinstance(what, GeneratorType):
            return what
        for generator in reversed(self._generators.values()):
            if generator.generator_type is what:
                return generator.name
        if what is GeneratorType.CUSTOM:
            raise UnknownName("no custom generator is registered", "Call register_generator first")
        return what.value

    def _own_generators(self) -> Sequence[BaseDataGenerator]:
        return tuple(self._generators.values())


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
        return await _beside_the_loop(lambda stop: self._cut_over(request, stop))

    def _lag(self) -> float | None:
        with Connections(self.config) as connections:
            ledger = connections.ledger
            spec, progress = ledger.spec(self.run_id), ledger.progress(self.run_id)
            if progress.state not in WORKING:
                reason = progress.last_error or f"run {self.run_id} is {progress.state}"
                raise RunFailed(reason, _resume(self.run_id))
            figures = follow_figures(ledger, spec, progress)
        if figures is None or figures.phase is Phase.COPYING or figures.silent_seconds is None:
            return None  # it is copied first, and nobody knows the lag before somebody has read
        return figures.lag_seconds

    def _cut_over(self, request: CutOverRequest, stop: Event) -> RunResult:
        def say(line: str) -> None:
            log.info("%s: %s", self.run_id, line)
            if stop.is_set():
                raise RunFailed("the cut-over was given up", _resume(self.run_id))

        def stop_request() -> StopRequest:
            return StopRequest.NOW if stop.is_set() else StopRequest.NONE

        with Connections(self.config) as connections:
            progress = cut_over_run(connections, self.run_id, request, say, stop_request)
            return RunResult.of(summarize(connections.ledger.spec(self.run_id), progress))


class MigrationEngine(_Engine):
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
        wanted = replace(request, strategy=self._strategy) if self._strategy else request

        def start(connections: Connections) -> RunSpec:
            name = wanted.options.run_name
            known = find_named_run(connections, name, RunKind.MIGRATION)
            chosen = replace(wanted, follow=True) if follow else wanted
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
        return FollowedRun(self._config, run_id)


def create_generation_engine(
    config: FrameworkConfig, in_process: bool = False
) -> DataGenerationEngine:
    """Create an engine for generation runs. It connects when a run starts."""
    return DataGenerationEngine(config, in_process)


def create_migration_engine(config: FrameworkConfig, in_process: bool = False) -> MigrationEngine:
    """Create an engine for migration runs. It connects when a run starts."""
    return MigrationEngine(config, in_process)


async def _beside_the_loop(run: Callable[[Event], RunResult]) -> RunResult:
    """Run on a thread. A cancelled caller waits until the run is left in good order."""
    stop = Event()
    running = asyncio.ensure_future(asyncio.to_thread(run, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([running])
        raise


def _check_request(what: object, total: object) -> None:
    """Raise UsageError for what Python lets through and nobody means."""
    if isinstance(what, Mapping):
        raise UsageError(
            "a template is a name or a file, and this is a dict",
            "Write it to a file that ends in .json, and give the file's name",
        )
    if not isinstance(what, str | GeneratorType):
        raise UsageError(f"a template is a name or a file, and this is a {type(what).__name__}")
    if total is not None and (isinstance(total, bool) or not isinstance(total, int)):
        raise UsageError(
            f"total is {total!r}, a {type(total).__name__}", "Give a whole number: total=1_000_000"
        )


def _on_loop(progress: ProgressCallback | None) -> Callable[[RunStatus], object]:
    """Call ``progress`` where the caller awaits, and not on the thread of the run."""
    if progress is None:
        return lambda _status: None
    loop = asyncio.get_running_loop()
    return lambda status: loop.call_soon_threadsafe(progress, status)


def _run(
    config: FrameworkConfig,
    start: Callable[[Connections], RunSpec],
    stop: Event,
    here: Sequence[BaseDataGenerator] | None,
    show: Callable[[RunStatus], object],
) -> RunResult:
    """Start a run and stay with it; ``here`` are the generators of a run in this process."""

    def stop_request() -> StopRequest:
        return StopRequest.NOW if stop.is_set() else StopRequest.NONE

    with Connections(config, in_process=here is not None) as connections:
        spec = start(connections)
        keep_spec(spec)
        notices = _log_notices(spec.run_id)
        remaining = RemainingTime(spec, connections.ledger.history.read(spec.run_id))

        def observe(observation: Observation) -> None:
            notices(observation)
            if observation.progress is not None:
                left = remaining.observe(observation.progress)
                cause = observation.standstill.cause
                run = summarize(spec, observation.progress, cause=cause, seconds_left=left)
                show(RunStatus.of(run))

        if here is not None:
            progress = work_here(connections, spec, here, observe, stop_request)
        else:
            attached = stay(connections, spec, observe, stop_request)
            if attached is None:
                raise LedgerUnavailable("Redis never answered", _resume(spec.run_id))
            progress = attached
    if progress.state is RunState.FAILED:
        raise RunFailed(progress.last_error or f"run {spec.run_id} failed", _resume(spec.run_id))
    return RunResult.of(summarize(spec, progress))


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
