"""What each rule of a migration did, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dataworks_tasks.ledger.run_counters import RunCounter
from dataworks_tasks.migrate.rules import Rule, RuleKind, RuleOutcome, read_outcomes, rules_of
from dataworks_tasks.numerals import counted
from dataworks_tasks.runs.spec import MigrationJob

_DONE = {
    RuleKind.RENAME: "renamed",
    RuleKind.DROP: "dropped",
    RuleKind.SET: "replaced",
    RuleKind.MASK: "masked",
}

_DISPLACED = (
    "value that was in the place of the new field is",
    "values that were in the place of the new field are",
)
_UNREACHED = (
    "value on the path to the field is not a document",
    "values on the path to the field are not documents",
)


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """One rule, and what it did so far."""

    rule: Rule
    outcome: RuleOutcome

    def as_json(self) -> dict[str, Any]:
        """Return the rule and its counts for programs."""
        return {"rule": str(self.rule), **asdict(self.outcome), "matched": self.outcome.matched}

    def __str__(self) -> str:
        """Return the counts in a line, for the table of a run."""
        outcome = self.outcome
        parts = [f"{outcome.changed:,} {_DONE[self.rule.kind]}"]
        if self.rule.kind is RuleKind.SET:
            parts = [f"{outcome.added:,} added", *(parts if outcome.changed else ())]
        if outcome.retyped:
            parts.append(f"{outcome.retyped:,} of them with another type before")
        if outcome.empty:
            parts.append(f"{outcome.empty:,} null or empty")
        if outcome.displaced:
            parts.append(f"{outcome.displaced:,} values of another field lost")
        if outcome.unreached:
            parts.append(f"{outcome.unreached:,} not reached")
        return ", ".join(parts)


def rule_figures(job: MigrationJob, counters: Mapping[str, int]) -> tuple[RuleFigures, ...]:
    """Return the rules of a migration in the order in which they are applied."""
    rules = rules_of(job.transform)
    outcomes = read_outcomes(counters, len(rules))
    return tuple(map(RuleFigures, rules, outcomes))


def rule_remarks(
    job: MigrationJob, figures: Sequence[RuleFigures], counters: Mapping[str, int], expected: int
) -> Iterator[str]:
    """Yield what a person has to know about the rules of a complete run.

    A rule that matched nothing is a remark unless the run allows it. If nothing was read, no rule
    could match.
    """
    read = counters.get(RunCounter.READ, 0)
    if job.filter is not None and not read and expected and not job.allow_unmatched:
        yield f"--filter matched none of about {counted(expected, 'document')}"
    for item in figures:
        rule, outcome = item.rule, item.outcome
        if outcome.unreached:
            left = "was not changed" if rule.kind is RuleKind.SET else "was copied unchanged"
            yield (f"{rule}: {counted(outcome.unreached, *_UNREACHED)}; the content {left}")
        if outcome.displaced:
            yield f"{rule}: {counted(outcome.displaced, *_DISPLACED)} not at the target"
        if read and not outcome.matched and not job.allow_unmatched:
            yield f"{rule} matched nothing in {counted(read, 'document')}"
