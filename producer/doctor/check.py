"""One check and its outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked, whether it is good, what was found, and what to do if it is not.

    ``needs``: the flags of the command with which it would be good.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needs: str = ""

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return {name: value for name, value in asdict(self).items() if name != "needs"}
