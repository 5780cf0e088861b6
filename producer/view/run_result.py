"""What the Python API returns: the outcome and the progress of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Self

from dataworks_tasks.ledger.contract import RunState
from producer.view.durations import shown_duration
from producer.view.run_summary import RunSummary

_GOOD, _READ, _BAD = "#1a7f37", "#9a6700", "#cf222e"


@dataclass(frozen=True, slots=True)
class RunResult:
    """The outcome of a run. ``failures`` are documents on record that could not be written.

    In a verification, ``failures`` are documents that differ. ``remarks``: what to read before the
    result is used, such as a mask that matched nothing, or what the source changed while it was
    copied.
    """

    run_id: str
    state: RunState
    documents: int
    bytes: int
    seconds: float
    failures: int
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: RunSummary) -> Self:
        """Return the outcome that a summary shows."""
        return cls(
            run.run_id,
            run.state,
            run.documents,
            run.bytes,
            run.seconds,
            run.failures,
            run.to_read,
        )

    @property
    def rate(self) -> float:
        """Documents per second on average."""
        return self.documents / self.seconds if self.seconds > 0 else 0.0

    @property
    def is_good(self) -> bool:
        """Whether it is complete, without a failure and with nothing to read."""
        return self.state is RunState.COMPLETE and not self.failures and not self.remarks

    def _repr_html_(self) -> str:
        """Draw a table, for notebooks."""
        rows = [
            ("documents", f"{self.documents:,}"),
            ("time", f"{shown_duration(self.seconds)} ({self.rate:,.0f} docs/s)"),
            ("failures", f"{self.failures:,}"),
            *(("to read", remark) for remark in self.remarks),
        ]
        return _table(self.run_id, self.state, _color(self.state, not self.is_good), rows)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run at one moment. ``share`` is from 0 to 1; ``seconds_left`` is None where unknown.

    ``seconds_left_between``: bounds, if the time depends on an unknown speed.
    """

    run_id: str
    state: RunState
    documents: int
    documents_total: int
    share: float
    seconds: float
    seconds_left: float | None
    failures: int
    cause: str | None = None
    """Why it makes no progress, if known."""
    seconds_left_between: tuple[float, float] | None = None

    @classmethod
    def of(cls, run: RunSummary) -> Self:
        """Return what a summary shows."""
        return cls(
            run.run_id,
            run.state,
            run.documents,
            run.documents_total,
            run.share,
            run.seconds,
            run.seconds_left,
            run.failures,
            run.cause,
            run.time_left.between if run.time_left else None,
        )

    @property
    def is_over(self) -> bool:
        """Whether no process works on it now."""
        return self.state not in {RunState.PLANNING, RunState.RUNNING}

    def _repr_html_(self) -> str:
        """Draw a table with a bar, for notebooks."""
        rows = [
            ("documents", f"{self.documents:,} of {self.documents_total:,}"),
            ("done", f"{int(100 * self.share)}%"),
            ("time", shown_duration(self.seconds)),
        ]
        if self.seconds_left is not None:
            rows.append(("left", shown_duration(self.seconds_left)))
        if self.failures:
            rows.append(("failures", f"{self.failures:,}"))
        if self.cause:
            rows.append(("cause", self.cause))
        bar = f'<progress value="{self.share:.4f}" max="1"></progress>'
        to_read = bool(self.cause or self.state in {RunState.PAUSED, RunState.CANCELLED})
        return bar + _table(self.run_id, self.state, _color(self.state, to_read), rows)


def _color(state: RunState, to_read: bool) -> str:
    if state in {RunState.FAILED, RunState.DIFFERENT}:
        return _BAD
    return _READ if to_read else _GOOD


def _table(title: str, state: str, color: str, rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in rows
    )
    head = f"{escape(title)} <span style='color:{color}'>{escape(state)}</span>"
    return f"<table><caption>{head}</caption>{body}</table>"
