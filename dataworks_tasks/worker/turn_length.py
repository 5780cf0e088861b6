"""How long a process stays with one run while other runs wait."""

from __future__ import annotations

from dataclasses import dataclass

SHORTEST_SECONDS, _LONGEST_SECONDS = 0.5, 30.0
_LONGER, _SHORTER = 2.0, 0.75


@dataclass(slots=True)
class TurnLength:
    """The length of this process' turns at one run.

    Far from its servers, a process spends a short turn on round trips, and would leave before any
    document: every turn must make some progress.
    """

    seconds: float = SHORTEST_SECONDS

    def learn(self, *, ran_out: bool, progressed: bool) -> None:
        """Take note of a turn. ``ran_out``: it ended because others wait."""
        if progressed:
            self.seconds = max(SHORTEST_SECONDS, self.seconds * _SHORTER)
        elif ran_out:
            self.seconds = min(_LONGEST_SECONDS, self.seconds * _LONGER)
