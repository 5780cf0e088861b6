"""A thing that will not arrive unchanged."""

from __future__ import annotations

from dataclasses import dataclass

from dataworks_tasks.runs.namespace import Namespace


@dataclass(frozen=True, slots=True)
class Concern:
    """What will not arrive unchanged, why, and what to type or to do.

    ``refused``: the run would be refused before anything is written. ``namespace``: a collection of
    the source that cannot be read.
    """

    what: str
    why: str
    remedy: str
    refused: bool = False
    namespace: Namespace | None = None
