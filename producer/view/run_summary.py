"""A run's figures, computed from its spec and progress: what every view shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from dataworks_tasks.ledger.contract import FINISHED, WORKING, Ledger, RunProgress, RunState
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.ledger.run_flags import NO_RUN_FLAGS, RunFlags
from dataworks_tasks.ledger.run_limits import RunLimits
from dataworks_tasks.ledger.run_note import NoteTopic, RunNote
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.namespace import series_of_buckets
from dataworks_tasks.runs.spec import (
    GenerationJob,
    MigrationJob,
    RepairJob,
    RunKind,
    RunSpec,
    VerificationJob,
)
from producer.view.differences import DifferenceGroup, group_differences, shown_groups
from producer.view.rule_figures import RuleFigures, rule_figures, rule_remarks
from producer.view.time_left import TimeLeft

_OUTCOMES = (
    RunCounter.WRITTEN,
    RunCounter.ALREADY_THERE,
    RunCounter.REPLACED,
    RunCounter.SKIPPED,
    RunCounter.DROPPED,
)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Numbers of a run at one moment. ``documents_total`` may still grow while planning."""

    run_id: str
    kind: RunKind
    state: RunState
    name: str
    documents: int
    documents_total: int
    planning: bool
    bytes: int
    seconds: float
    gaps: int
    failures: int
    throttled_requests: int
    waited_seconds: float
    request_units: int
    request_units_estimated: int
    read_request_units: int
    read_request_units_estimated: int
    peak_worker_bytes: int
    workers: int
    last_error: str | None
    finishing: str | None
    rules: tuple[RuleFigures, ...] = ()
    remarks: tuple[str, ...] = ()
    """What a person has to know about the rules of a complete run."""
    notes: tuple[RunNote, ...] = ()
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Documents of a migration by what was done with them: written, already there, and so on."""
    differences: tuple[DifferenceGroup, ...] = ()
    cause: str | None = None
    """Why it makes no progress, if known."""
    verified: str | None = None
    """The run that a verification or a repair is about."""
    is_copied: bool = False
    """Whether it follows its source by now: what the source had at the start is copied."""
    verified_follows: bool = False
    """Whether that run follows its source: it can be repaired until its cut-over only."""
    is_cut_over: bool = False
    """Whether it is a migration that followed its source and has ended, so it writes no more."""
    time_left: TimeLeft | None = None
    """The time until it is complete; None while unknown."""
    limits: RunLimits = field(default_factory=RunLimits)
    flags: RunFlags = NO_RUN_FLAGS
    """Flags of the command that started or last continued it."""

    @property
    def to_read(self) -> tuple[str, ...]:
        """What a person should read about a complete run, although nothing failed."""
        return (*self.remarks, *map(str, self.notes_to_read))

    @property
    def notes_to_read(self) -> tuple[RunNote, ...]:
        """The notes that need attention; in a verification, some of them are differences."""
        return tuple(note for note in self.notes if note.attention)

    @property
    def found(self) -> Sequence[str]:
        """The differences that a verification found, a line for each group."""
        listed = sum(group.count for group in self.differences)
        return shown_groups(self.differences, listed, self.failures) if listed else ()

    @property
    def repair_steps(self) -> tuple[str, ...]:
        """The steps that make a verified run equal again."""
        live = " --live" if self.verified_follows else ""
        command = f"dataworks verify {self.verified}{live} --repair"
        when = ", unless the run is cut over, with" if self.verified_follows else " with"
        extra = [group.is_extra for group in self.differences]
        if not any(extra):
            return (f"Make them equal{when}: {command}",)
        if all(extra):
            return (f"Delete documents that should not be there{when}: {command} --delete-extra",)
        return (
            f"Correct the documents that should be there{when}: {command}",
            f"Delete those that should not be there too{when}: {command} --delete-extra",
        )

    def _differences_as_json(self) -> dict[str, Any]:
        if self.kind is not RunKind.VERIFICATION:
            return {}
        return {"differences": [group.as_json() for group in self.differences]}

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until it is complete; None while unknown."""
        return self.time_left.seconds if self.time_left else None

    @property
    def is_over(self) -> bool:
        """Whether no process works on it now."""
        return self.state not in WORKING

    @property
    def share(self) -> float:
        """The share of the known work that is done, from 0 to 1."""
        done = self.documents + (0 if self.kind is RunKind.VERIFICATION else self.failures)
        total = self.documents_total
        if self.is_copied:
            return 1.0
        return min(1.0, done / total) if total else float(self.state in FINISHED)

    @property
    def rate(self) -> float:
        """Documents per second on average."""
        return self.documents / self.seconds if self.seconds > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return {
            "run": self.run_id,
            "kind": self.kind.value,
            "state": self.state.value,
            "name": self.name,
            "documents": self.documents,
            "documents_total": self.documents_total,
            "planning": self.planning,
            "share": round(self.share, 4),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
            "seconds_left_between": self.time_left.between if self.time_left else None,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "documents_per_second": round(self.rate, 1),
            "gaps": self.gaps,
            "failures": self.failures,
            "throttled_requests": self.throttled_requests,
            "waited_seconds": round(self.waited_seconds, 3),
            "request_units": self.request_units,
            "request_units_estimated": self.request_units_estimated,
            "read_request_units": self.read_request_units,
            "read_request_units_estimated": self.read_request_units_estimated,
            "peak_worker_bytes": self.peak_worker_bytes,
            "workers": self.workers,
            "last_error": self.last_error,
            "cause": self.cause,
            "finishing": self.finishing,
            **asdict(self.limits),
            "rules": [rule.as_json() for rule in self.rules],
            "remarks": list(self.to_read),
            "notes": [note.as_json() for note in self.notes],
            **self.outcomes,
            **self._differences_as_json(),
        }


def summarize(
    spec: RunSpec,
    progress: RunProgress,
    now: datetime | None = None,
    cause: str | None = None,
    time_left: TimeLeft | None = None,
) -> RunSummary:
    """Return the run's figures as of ``now``."""
    until = progress.finished_at or now or datetime.now(UTC)
    counters = progress.counters
    expected = progress.documents_expected or 0
    documents = counters.get(RunCounter.DOCUMENTS, 0)
    is_verification = spec.kind is RunKind.VERIFICATION
    done = documents + (progress.failures if spec.kind is RunKind.MIGRATION else 0)
    if spec.is_sliced:
        # The planned number can differ from the number that was read: a collection grows.
        expected = done if progress.state in FINISHED else max(expected, done)
    return RunSummary(
        run_id=progress.run_id,
        kind=spec.kind,
        state=progress.state,
        name=shown_name(spec),
        documents=documents,
        documents_total=expected,
        planning=progress.total is None,
        bytes=counters.get(RunCounter.BYTES, 0),
        seconds=(until - progress.created_at).total_seconds(),
        gaps=progress.gaps,
        failures=progress.differences if is_verification else progress.failures,
        throttled_requests=counters.get(RunCounter.THROTTLED_REQUESTS, 0),
        waited_seconds=counters.get(RunCounter.WAITED_MILLISECONDS, 0) / 1000,
        request_units=counters.get(RunCounter.REQUEST_UNITS, 0),
        request_units_estimated=counters.get(RunCounter.REQUEST_UNITS_ESTIMATED, 0),
        read_request_units=counters.get(RunCounter.READ_REQUEST_UNITS, 0),
        read_request_units_estimated=counters.get(RunCounter.READ_REQUEST_UNITS_ESTIMATED, 0),
        peak_worker_bytes=max((worker.peak_rss_bytes for worker in progress.workers), default=0),
        workers=len(progress.workers),
        last_error=progress.last_error,
        finishing=_finishing(progress),
        cause=cause,
        time_left=time_left,
        **_rules(spec, progress),
        notes=(*progress.notes, *_adds_nothing(spec, counters.get("already_there", 0))),
        outcomes=_outcomes(spec, progress),
        verified=spec.job.run_id if isinstance(spec.job, VerificationJob | RepairJob) else None,
        verified_follows=isinstance(spec.job, VerificationJob) and _follows(spec.job),
        is_cut_over=spec.follows and progress.state is RunState.COMPLETE,
        flags=progress.flags or NO_RUN_FLAGS,
        limits=progress.limits or RunLimits.of_spec(spec),
    )


def _follows(job: VerificationJob) -> bool:
    return isinstance(job.of, MigrationJob) and job.of.follow is not None


def once_copied(run: RunSummary, *, is_copied: bool) -> RunSummary:
    """Return the summary of a run that follows its source.

    After the copy the total is what was copied: a filter left out the others.
    """
    if not is_copied or run.state in FINISHED:
        return run
    return replace(run, documents_total=run.documents + run.failures, is_copied=True)


def _adds_nothing(spec: RunSpec, already_there: int) -> tuple[RunNote, ...]:
    """Return a note if a second run with the same seed met only its own documents."""
    if not (isinstance(spec.job, GenerationJob) and spec.append and already_there):
        return ()
    met = counted(already_there, "document")
    text = f"{met} already existed; another --seed adds new documents"
    return (RunNote(NoteTopic.ALREADY_THERE, "", text, attention=False),)


def _rules(spec: RunSpec, progress: RunProgress) -> dict[str, Any]:
    """Return what a migration's rules did; a verification applies rules only to compare."""
    job, counters = spec.job, progress.counters
    if not isinstance(job, MigrationJob):
        return {}
    rules = rule_figures(job, counters)
    if progress.state is not RunState.COMPLETE:
        return {"rules": rules}
    expected = progress.documents_expected or 0
    remarks = list(rule_remarks(job, rules, counters, expected))
    if skipped := counters.get(RunCounter.SKIPPED, 0):
        remarks.append(
            f"{counted(skipped, 'document was', 'documents were')} skipped: "
            "the target has another one with the same _id"
        )
    return {"rules": rules, "remarks": tuple(remarks)}


def _outcomes(spec: RunSpec, progress: RunProgress) -> dict[str, int]:
    """Return what happened to the documents of a migration."""
    if not isinstance(spec.job, MigrationJob):
        return {}
    return {name.value: progress.counters.get(name, 0) for name in _OUTCOMES}


def with_differences(run: RunSummary, ledger: Ledger) -> RunSummary:
    """Add to a verification's summary the recorded differences, in groups."""
    if run.kind is not RunKind.VERIFICATION or not run.failures:
        return run
    return replace(run, differences=tuple(group_differences(ledger.failures(run.run_id))))


def _finishing(progress: RunProgress) -> str | None:
    """Progress of the finishing phase, while it lasts."""
    all_done = progress.total is not None and progress.acknowledged == progress.total
    return progress.finishing if all_done and progress.state in WORKING else None


def shown_name(spec: RunSpec) -> str:
    """Return what the run is about: template and target, or source and target."""
    job = spec.job
    if isinstance(job, VerificationJob):
        return f"verify {job.run_id}"
    if isinstance(job, RepairJob):
        return f"repair {job.run_id}"
    if isinstance(job, GenerationJob):
        targets = [str(part.namespace) for part in job.parts]
        return f"{job.name} -> {_listed(targets)}"
    pairs = [
        f"{series_of_buckets(pair.source)} -> {series_of_buckets(pair.target)}"
        for pair in job.namespaces
    ]
    return _listed(pairs)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def exit_code(run: RunSummary) -> int:
    """Return the exit code of a command for this run.

    0: done, with nothing to report; 1: failed or different; 3: unfinished; 4: done, with failures
    or notes to read.
    """
    if run.state in {RunState.FAILED, RunState.DIFFERENT}:
        return 1
    if run.state is not RunState.COMPLETE:
        return 3
    if run.failures:
        return 1 if run.kind is RunKind.REPAIR else 4
    return 4 if run.to_read else 0
