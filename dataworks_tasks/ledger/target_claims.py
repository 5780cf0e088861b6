"""Which run writes into a collection: two that found it empty would both call it theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from dataworks_tasks.ledger.keys import TARGETS
from dataworks_tasks.ledger.redis_steps import RedisSteps, as_text


class TargetClaims:
    """Claims of targets by runs. A target is ``SERVERS DATABASE.COLLECTION``."""

    def __init__(self, steps: RedisSteps) -> None:
        self._steps = steps

    def claim(
        self, run_id: str, targets: Sequence[str], seconds: float, *, shared: bool = False
    ) -> tuple[str, str] | None:
        """Claim all ``targets`` for a run, or none of them.

        Returns a target, and the run that has it: one that has not ended, or that was to be on
        record within ``seconds``. With ``shared`` the run writes into them whoever else does.
        """
        held = self._steps.run(
            run_id, "claim_targets", [TARGETS], run_id, f"{seconds:g}", int(shared), *targets
        )
        if not held:
            return None
        target, holder = cast("list[bytes]", held)
        return as_text(target), as_text(holder)

    def release(self, run_id: str) -> None:
        """Give up what a run has, because it was not started or is forgotten."""
        redis = self._steps.redis

        def delete() -> None:
            claims = cast("dict[bytes, bytes]", redis.hgetall(TARGETS))
            own = [target for target, who in claims.items() if as_text(who).split()[0] == run_id]
            if own:
                redis.hdel(TARGETS, *own)

        self._steps.guard("", delete)
