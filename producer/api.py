"""The Python API: start a run from a program and wait for its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event

from dataworks_tasks.errors import LedgerUnavailable, RunFailed, UnknownName
from dataworks_tasks.generate.custom.base import BaseDataGenerator, GeneratorType
from dataworks_tasks.ledger.contract import RunState
from dataworks_tasks.migrate.factory import MigrationStrategyFactory, Strategy
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.runs.spec import RunKind, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.drive.attach import stay
from producer.drive.in_process import work_here
from producer.drive.observation import Observation, StopRequest
from producer.resume.continue_run import continue_run
from producer.resume.named_run import find_named_run
from producer.resume.spec_file import keep_spec
from producer.start.run_request import GenerationRequest, MigrationRequest, RunOptions
from producer.start.start_generation import start_generation
from producer.start.start_migration import start_migration
from producer.view.progress import notice
from producer.view.run_summary import summarize

log = logging.getLogger(__name__)

_DEFAULT_OPTIONS = RunOptions()
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

    async def migrate(self, request: MigrationRequest = _CONFIGURED) -> RunResult:
        """Copy what ``request`` includes; by default the source collection of the settings.

        Raises UsageError before anything is written, RunFailed when the run stops. Cancelling
        leaves a run that can be resumed.
        """
        wanted = replace(request, strategy=self._strategy) if self._strategy else request
        return await _in_thread(
            self._run,
            lambda connections: (
                find_named_run(connections, wanted.options.run_name, RunKind.MIGRATION)
                or start_migration(wanted, self._config, connections)
            ),
        )

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
    run = summarize(spec, progress)
    return RunResult(
        run.run_id, run.state, run.documents, run.bytes, run.seconds, run.failures, run.to_read
    )


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
