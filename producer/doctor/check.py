"""One check and its outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked, whether it is good, what was found, and what to do if it is not."""

    name: str
    ok: bool
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return asdict(self)
