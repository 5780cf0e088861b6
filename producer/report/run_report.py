"""A run's report: what was requested, done and compared, and a verdict."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from dataworks_tasks.errors import SpecRefused
from dataworks_tasks.ledger.contract import FINISHED, Ledger, RunProgress, RunState
from dataworks_tasks.ledger.final_collection import FinalCollection
from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.run_id import kind_of_run
from dataworks_tasks.runs.spec import RepairJob, RunKind, RunSpec, VerificationJob
from dataworks_tasks.version import __version__
from producer.report.describe import described_spec
from producer.report.following import described_following
from producer.view.hidden_keys import hide_keys_of_run
from producer.view.live_snapshot import LiveMeter
from producer.view.run_detail import RunDetail, hide_keys_of_detail, read_detail
from producer.view.run_summary import RunSummary, summarize, with_differences

_LIBRARIES = ("celery", "pymongo", "redis", "numpy", "faker")


@dataclass(frozen=True, slots=True)
class Repair:
    """A complete repair. ``failures``: documents that it could not make equal."""

    run_id: str
    failures: int
    deletes_extra: bool


@dataclass(frozen=True, slots=True)
class Verification:
    """A verification of the run."""

    summary: RunSummary
    progress: RunProgress
    repair: Repair | None = None
    """The newest complete repair of what it found."""

    @property
    def is_repaired(self) -> bool:
        """Whether it found only documents that differ, and a repair made all of them equal."""
        if self.repair is None or not self.summary.failures or self.summary.to_read:
            return False
        has_extra = self.progress.counters.get(RunCounter.EXTRA, 0) > 0
        return not self.repair.failures and (self.repair.deletes_extra or not has_extra)

    @property
    def compared(self) -> int:
        """Documents that were compared."""
        return self.summary.documents

    @property
    def is_equal(self) -> bool:
        """Whether it compared everything and found nothing."""
        return (
            self.summary.state is RunState.COMPLETE
            and not self.summary.failures
            and not self.summary.to_read
        )

    @property
    def differs(self) -> bool:
        """Whether it found a difference: in documents, indexes, options or views."""
        return self.summary.state is RunState.DIFFERENT or self.summary.failures > 0


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything that the report says, as of ``made_at``."""

    detail: RunDetail
    progress: RunProgress
    collections: tuple[FinalCollection, ...]
    """What the databases held of each collection when the run ended."""
    verifications: tuple[Verification, ...]
    made_at: datetime
    versions: tuple[tuple[str, str], ...]
    following: tuple[tuple[str, str], ...] = ()
    """How a migration followed its source; empty for any other run."""

    @property
    def verdict(self) -> str:
        """One sentence that says whether the run did what was requested."""
        return " ".join(_verdict(self))

    @property
    def mood(self) -> str:
        """``good``: nothing to say; ``read``: see the notes; ``bad``: failed, or it differs."""
        run = self.detail.live.run
        newest = self.verifications[0] if self.verifications else None
        differs = newest is not None and newest.differs and not newest.is_repaired
        if run.state in {RunState.FAILED, RunState.CANCELLED, RunState.DIFFERENT} or differs:
            return "bad"
        if run.kind is RunKind.VERIFICATION and run.failures:
            return "bad"
        if run.state is not RunState.COMPLETE or run.failures or run.to_read:
            return "read"
        if newest is not None and newest.is_repaired:
            return "read"
        return "good"

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What was requested."""
        return described_spec(self.detail.spec)

    def as_json(self, *, hide_keys: bool = False) -> dict[str, Any]:
        """Return the report for programs."""
        detail = self.detail.as_json(hide_keys=hide_keys)
        return {
            **detail,
            "verdict": self.verdict,
            "made_at": self.made_at.isoformat(),
            "asked": [{"name": name, "value": value} for name, value in self.facts],
            "followed": [{"name": name, "value": value} for name, value in self.following],
            "collections": [one.as_json() for one in self.collections],
            "counters": dict(sorted(self.progress.counters.items())),
            "verifications": [
                {
                    **one.summary.as_json(),
                    "compared": one.compared,
                    "equal": one.is_equal,
                    "repaired_by": one.repair.run_id if one.repair else None,
                }
                for one in self.verifications
            ],
            "versions": dict(self.versions),
        }


def read_report(ledger: Ledger, run_id: str, *, hide_keys: bool = False) -> RunReport:
    """Read the report of a run as of now. Raises UnknownName and LedgerUnavailable."""
    spec = ledger.spec(run_id)
    detail = read_detail(ledger, spec, LiveMeter(spec, ledger))
    verifications = tuple(_verifications(ledger, spec))
    if hide_keys:
        detail = hide_keys_of_detail(detail)
        verifications = tuple(
            replace(one, summary=hide_keys_of_run(one.summary)) for one in verifications
        )
    return RunReport(
        detail=detail,
        progress=ledger.progress(run_id),
        collections=ledger.final_collections(run_id),
        verifications=verifications,
        made_at=datetime.now(UTC),
        versions=_versions(),
        following=described_following(ledger, spec, detail.lag),
    )


def _verifications(ledger: Ledger, spec: RunSpec) -> Iterator[Verification]:
    """Yield the run's verifications, newest first; a verification itself has none."""
    if spec.kind is RunKind.VERIFICATION:
        return
    repairs: dict[str, Repair] = {}
    for run_id in ledger.run_ids():  # a repair is newer than the verification that it belongs to
        if kind_of_run(run_id) not in {RunKind.VERIFICATION, RunKind.REPAIR}:
            continue
        try:
            found = ledger.spec(run_id)
        except SpecRefused:
            continue  # recorded by a version that this one cannot read
        job = found.job
        if isinstance(job, RepairJob) and job.run_id == spec.run_id:
            if ledger.state(run_id) is RunState.COMPLETE:
                failures = ledger.progress(run_id).failures
                repair = Repair(run_id, failures, job.delete_extra)
                repairs.setdefault(job.verification, repair)
        elif isinstance(job, VerificationJob) and job.run_id == spec.run_id:
            progress = ledger.progress(run_id)
            summary = with_differences(summarize(found, progress), ledger)
            yield Verification(summary, progress, repairs.get(run_id))


def _versions() -> tuple[tuple[str, str], ...]:
    libraries = ((name, version(name)) for name in _LIBRARIES)
    return (("dataworks", __version__), ("python", platform.python_version()), *libraries)


def _verdict(report: RunReport) -> Iterator[str]:
    run = report.detail.live.run
    if run.state not in FINISHED:
        yield (
            f"The run is {run.state}: {run.documents:,} of {run.documents_total:,} documents "
            f"are acknowledged, and {counted(run.gaps, 'range is', 'ranges are')} missing."
        )
        return
    documents = counted(run.documents, "document was", "documents were")
    noun = "compared" if run.kind is RunKind.VERIFICATION else "acknowledged by the target"
    found = "found differences" if run.state is RunState.DIFFERENT else "is complete"
    yield f"The run {found}: {documents} {noun}."
    if run.failures and run.kind is RunKind.VERIFICATION:
        yield f"{counted(run.failures, 'difference is', 'differences are')} on record."
    elif run.failures:
        failed = counted(run.failures, "document is", "documents are")
        yield f"{failed} on record that could not be written."
    if run.to_read:
        yield f"{counted(len(run.to_read), 'note is', 'notes are')} to read below."
    if run.kind is not RunKind.VERIFICATION:
        yield _compared(report.verifications)


def _compared(verifications: tuple[Verification, ...]) -> str:
    if not verifications:
        return "No verification was run afterwards."
    newest = verifications[0]
    if newest.is_equal:
        was = counted(newest.compared, "document was", "documents were")
        is_ = "is" if newest.compared == 1 else "are"
        return f"{was} compared afterwards and {is_} equal."
    if newest.summary.state not in FINISHED:
        return f"The newest verification is {newest.summary.state}."
    compared = f"The newest verification compared {counted(newest.compared, 'document')}"
    if newest.differs and not newest.summary.failures:
        return f"{compared}, which are equal, but indexes, options or views differ."
    found = f"{compared} and found {counted(newest.summary.failures, 'difference')}."
    if newest.repair is None:
        return found
    much = "All" if newest.is_repaired else "Not all"
    return f"{found} {much} of them were repaired afterwards, by {newest.repair.run_id}."
