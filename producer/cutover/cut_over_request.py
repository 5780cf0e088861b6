"""How a person wants a migration to be cut over, and the command that asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dataworks_tasks.runs.bounds import OUTSIDE_OPEN_TRANSACTIONS_SECONDS
from producer.cutover.source_collections import ACCEPTING, COMPARING
from producer.doctor.check import Check


@dataclass(frozen=True, slots=True)
class CutOverRequest:
    """How to cut over.

    ``verify``: changed, full or none. ``quiet_seconds``: how long the source must be free of
    writes. ``block_writes``: make the source refuse writes. ``accept_failures``: continue even if
    documents could not be written, or an index could not be built.
    """

    verify: str = "changed"
    quiet_seconds: float = OUTSIDE_OPEN_TRANSACTIONS_SECONDS
    block_writes: bool = False
    accept_failures: bool = False

    def command(self, run_id: str) -> str:
        """Return what a person types for this."""
        usual = CutOverRequest()
        words = ["dataworks cutover", run_id]
        if self.verify != usual.verify:
            words.append(f"--verify {self.verify}")
        if self.quiet_seconds != usual.quiet_seconds:
            words.append(f"--quiet {self.quiet_seconds:g}s")
        words += ["--block-writes"] * self.block_writes + [
            "--accept-failures"
        ] * self.accept_failures
        return " ".join(words)

    def with_what_is_needed(self, checks: Sequence[Check]) -> CutOverRequest:
        """Return the cut-over that these checks do not refuse, as far as flags can do that."""
        needed = {check.needs for check in checks if not check.ok}
        return replace(
            self,
            verify="full" if COMPARING in needed else self.verify,
            accept_failures=self.accept_failures or ACCEPTING in needed,
        )
