"""The simplest ledger of ranges: a set of numbers. The real one must agree with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dataworks_tasks.runs.batch_range import BatchRange


@dataclass
class LedgerModel:
    """Acknowledged numbers below ``total``, one by one."""

    total: int
    done: set[int] = field(default_factory=set)

    def acknowledge(self, start: int, stop: int) -> tuple[int, bool]:
        new = set(range(start, stop)) - self.done
        self.done |= new
        return len(new), bool(new) and len(self.done) == self.total

    def gaps(self) -> list[BatchRange]:
        gaps: list[BatchRange] = []
        for number in range(self.total):
            if number in self.done:
                continue
            if gaps and gaps[-1].stop == number:
                gaps[-1] = BatchRange(gaps[-1].start, number + 1)
            else:
                gaps.append(BatchRange(number, number + 1))
        return gaps
