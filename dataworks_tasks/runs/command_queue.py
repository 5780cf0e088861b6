"""The queue of a command that starts workers of its own.

These workers must not take other runs, which may have other servers.
"""

from __future__ import annotations

_PREFIX = "command-"


def command_queue(process_id: int) -> str:
    """Return the queue of the command that runs as this process."""
    return f"{_PREFIX}{process_id}"


def is_command_queue(queue: str) -> bool:
    """Return whether only the workers of one command take from the queue."""
    return queue.startswith(_PREFIX)
