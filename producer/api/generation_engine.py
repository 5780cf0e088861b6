"""Start generation runs from a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.generate.custom.base import BaseDataGenerator, GeneratorType
from dataworks_tasks.runs.namespace import Namespace
from dataworks_tasks.settings import FrameworkConfig
from producer.api.check_type import checked
from producer.api.engine import Engine
from producer.api.event_loop import ProgressCallback
from producer.resume.named_run import find_named_run
from producer.start.run_request import GenerationRequest, RunOptions
from producer.start.start_generation import start_generation
from producer.view.run_result import RunResult

_DEFAULT_OPTIONS = RunOptions()


class DataGenerationEngine(Engine):
    """Starts generation runs. It keeps no connection between two calls.

    Runs go to the workers of ``config``'s queue; with ``in_process`` this process does the work.
    """

    def __init__(self, config: FrameworkConfig, in_process: bool = False) -> None:
        super().__init__(config, in_process)
        self._generators: dict[str, BaseDataGenerator] = {}

    def register_generator(self, generator: BaseDataGenerator) -> None:
        """Register ``generator`` under its name and its type for the runs of this engine.

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
        _check_template(what)
        _check_number("total", total, "1_000_000")
        _check_number("seed", seed, "7")
        if namespace is not None and not isinstance(namespace, str):
            raise UsageError(
                f"a namespace is a string, not a {type(namespace).__name__}",
                "Write DATABASE.COLLECTION, for example 'shop.orders'",
            )
        options = checked("options", options, RunOptions)
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
                find_named_run(connections, request)
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


def create_generation_engine(
    config: FrameworkConfig, in_process: bool = False
) -> DataGenerationEngine:
    """Create an engine for generation runs. It connects when a run starts."""
    return DataGenerationEngine(config, in_process)


def _check_template(what: object) -> None:
    """Raise UsageError for arguments that Python accepts and that are mistakes."""
    if isinstance(what, Mapping):
        raise UsageError(
            "a template is a name or a file, not a dict",
            "Write it to a file whose name ends in .json, and give that name",
        )
    if not isinstance(what, str | GeneratorType):
        raise UsageError(f"a template is a name or a file, not a {type(what).__name__}")


def _check_number(name: str, value: object, example: str) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise UsageError(
            f"{name} is {value!r}, a {type(value).__name__}",
            f"Give a whole number: {name}={example}",
        )
