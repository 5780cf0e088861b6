"""The rules of a transform, and how many values each of them changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import NamedTuple

from dataworks_tasks.ledger.run_counters import RULE_OF
from dataworks_tasks.runs.spec import Transform


class RuleKind(StrEnum):
    """What a rule does to a value; the option that asks for it."""

    RENAME = "--rename"
    DROP = "--drop-field"
    SET = "--set"
    MASK = "--mask"


class Rule(NamedTuple):
    """One option of a transform. ``path`` is where the value is, before this rule is applied."""

    kind: RuleKind
    path: str
    argument: str = ""

    def __str__(self) -> str:
        """Return the option as given, without the value of ``--set``, which may be private."""
        written = f"{self.kind} {self.path}"
        return f"{written}={self.argument}" if self.argument else written


@dataclass(slots=True)
class RuleOutcome:
    """What a rule did, counted in values: the field of an array member is a value of its own.

    ``unreached``: values on the path that are neither a document nor null, whose content is copied
    unchanged. ``retyped`` ones are among the changed. ``displaced``: fields that already had the
    new name of a renamed one, and values that a document on the path to a new field replaced; they
    are lost.
    """

    changed: int = 0  # masked, dropped, renamed, or replaced by --set
    added: int = 0  # fields that --set had to make
    empty: int = 0  # nulls and empty arrays, which have nothing to mask
    retyped: int = 0  # masked by a value of another type, a number by text
    unreached: int = 0
    displaced: int = 0

    @property
    def matched(self) -> int:
        """Values that the rule applies to."""
        return self.changed + self.added + self.empty

    def add(self, other: RuleOutcome, times: int = 1) -> None:
        """Add what the rule did in other documents, ``times`` times."""
        self.changed += other.changed * times
        self.added += other.added * times
        self.empty += other.empty * times
        self.retyped += other.retyped * times
        self.unreached += other.unreached * times
        self.displaced += other.displaced * times

    def clear(self) -> None:
        """Count from zero again."""
        self.changed = self.added = self.empty = self.retyped = 0
        self.unreached = self.displaced = 0


_OUTCOMES = tuple(field.name for field in fields(RuleOutcome))


def rules_of(transform: Transform) -> tuple[Rule, ...]:
    """Return the rules of a transform in the order in which they are applied."""
    return (
        *(Rule(RuleKind.RENAME, old, new) for old, new in transform.rename),
        *(Rule(RuleKind.DROP, path) for path in transform.drop),
        *(Rule(RuleKind.SET, path) for path, _ in transform.set),
        *(Rule(RuleKind.MASK, path, mask) for path, mask in transform.mask),
    )


def rule_counters(outcomes: Sequence[RuleOutcome]) -> Iterator[tuple[str, int]]:
    """Yield the outcomes as the run's counters, by rule number; zeros are omitted."""
    for number, outcome in enumerate(outcomes):
        for name in _OUTCOMES:
            if count := getattr(outcome, name):
                yield f"{RULE_OF}{number}:{name}", count


def read_outcomes(counters: Mapping[str, int], rules: int) -> tuple[RuleOutcome, ...]:
    """Read the outcomes of ``rules`` rules from the run's counters."""
    return tuple(
        RuleOutcome(**{name: counters.get(f"{RULE_OF}{number}:{name}", 0) for name in _OUTCOMES})
        for number in range(rules)
    )
