"""Continue the run with a given name: for jobs that are restarted, and for cron."""

from __future__ import annotations

from collections.abc import Iterator

from dataworks_tasks.errors import UnknownName, UsageError
from dataworks_tasks.ledger.contract import WORKING, Ledger, RunState
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.spec import GenerationJob, MigrationJob, RunKind, RunSpec
from dataworks_tasks.settings import FrameworkConfig
from producer.connections import Connections
from producer.start.run_request import GenerationRequest, MigrationRequest


def find_named_run(
    connections: Connections, request: GenerationRequest | MigrationRequest
) -> RunSpec | None:
    """Find the run with the request's name, and continue it if an error stopped it; None if none.

    Raises UsageError for a run that does something else, and for one that a person paused or
    cancelled. Limits, priority and similar options are those that the run was started with.
    """
    name = request.options.run_name
    if name is None:
        return None
    ledger = connections.ledger
    run_id = ledger.named_run(name)
    spec = None if run_id is None else _on_record(ledger, run_id)
    if spec is None:
        return None
    _check_same_job(spec, name, request, connections.config)
    state = ledger.state(spec.run_id)
    if state in {RunState.PAUSED, RunState.CANCELLED}:
        raise UsageError(
            f"the run named {name} is {state}: {spec.run_id}",
            f"Continue it: dataworks resume {spec.run_id}",
        )
    if state in WORKING:
        return spec
    # Imported here, because a run that begins does not need it.
    from producer.resume.continue_run import continue_run

    return continue_run(connections, spec.run_id)


def _check_same_job(
    spec: RunSpec,
    name: str,
    request: GenerationRequest | MigrationRequest,
    config: FrameworkConfig,
) -> None:
    """Raise UsageError when the run with that name does something other than the request."""
    job = spec.job
    kind = RunKind.GENERATION if isinstance(request, GenerationRequest) else RunKind.MIGRATION
    if spec.kind is not kind:
        raise UsageError(
            f"the run named {name} is a {spec.kind}: {spec.run_id}", "Choose another --run-name"
        )
    if isinstance(job, GenerationJob) and isinstance(request, GenerationRequest):
        found = _other_documents(job, request)
    elif isinstance(job, MigrationJob) and isinstance(request, MigrationRequest):
        found = _other_copy(job, request, config)
    else:
        found = iter(())
    for flag, has, wanted in found:
        raise UsageError(
            f"the run named {name} {has}, not {wanted}",
            f"Choose another --run-name, or leave {flag} as it was",
        )


Difference = tuple[str, str, str]
"""A flag, what the run does, and what is requested."""


def _other_documents(job: GenerationJob, request: GenerationRequest) -> Iterator[Difference]:
    if job.name != request.what:
        yield "the template", f"generates documents of {job.name}", request.what
    if request.total and job.total != request.total:
        has = f"generates {counted(job.total, 'document')}"
        yield "--total", has, f"{request.total:,}"
    for flag, wanted in (("database", request.database), ("collection", request.collection)):
        named = sorted({getattr(part.namespace, flag) for part in job.parts})
        if wanted and wanted not in named:
            yield f"--{flag}", f"writes to the {flag} {', '.join(named)}", wanted
    if request.seed is not None and job.seed != request.seed:
        yield "--seed", f"has the seed {job.seed}", str(request.seed)


def _other_copy(
    job: MigrationJob, request: MigrationRequest, config: FrameworkConfig
) -> Iterator[Difference]:
    # Imported here, because a generation that begins does not need it.
    from producer.start.start_migration import selection_request

    selection = selection_request(request, config)
    if job.include and tuple(selection.include) != job.include:
        has, wanted = (", ".join(names) for names in (job.include, selection.include))
        yield "--include", f"copies {has}", wanted
    if tuple(selection.exclude) != job.exclude:
        has, wanted = (", ".join(names) or "nothing" for names in (job.exclude, selection.exclude))
        yield "--exclude", f"leaves out {has}", wanted
    if tuple(selection.renames) != job.renames:
        has, wanted = (
            ", ".join(f"{old}={new}" for old, new in names) or "no other names"
            for names in (job.renames, selection.renames)
        )
        yield "--to and --map", f"writes to {has}", wanted
    if job.strategy != request.strategy:
        yield "--strategy", f"has the strategy {job.strategy}", request.strategy
    if (job.follow is not None) != request.follow:
        has, wanted = "follows its source", "a copy that ends"
        if request.follow:
            has, wanted = "is a copy that ends", "one that follows its source"
        yield "--follow", has, wanted


def _on_record(ledger: Ledger, run_id: str) -> RunSpec | None:
    try:
        return ledger.spec(run_id)
    except UnknownName:
        return None
