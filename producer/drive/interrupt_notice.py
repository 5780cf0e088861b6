"""What Ctrl-C does to a run that a command watches."""

from __future__ import annotations


def interrupt_notice(run_id: str, *, alone: bool) -> str:
    """Return the line to print; ``alone``: the run has only the workers of this command."""
    if alone:
        return "Stopping the workers of this command."
    return f"The run continues without this command. Stop it with: dataworks pause {run_id}"
