"""How far the build of an index is: a line for people that a view can also read."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"building (?P<what>.+?)(?: \((?P<number>\d+) of (?P<of>\d+)\))?"
    r"(?:: (?:(?P<phase>.+) )?(?P<percent>\d+) %)?"
)
_SCAN = "scanning collection"
_SCAN_SHARE = 0.8
"""Reading documents and sorting keys takes about four times as long as inserting what is sorted."""


@dataclass(frozen=True, slots=True)
class IndexBuild:
    """The build of one index, or of several in one pass, of one collection.

    ``number`` of ``of`` builds of this collection. ``percent`` is of the ``phase``, as the server
    says it; None where it does not say.
    """

    names: str
    namespace: str
    number: int = 1
    of: int = 1
    phase: str = ""
    percent: int | None = None

    def __str__(self) -> str:
        numbered = f" ({self.number} of {self.of})" if self.of > 1 else ""
        text = f"building {self.names} of {self.namespace}{numbered}"
        if self.percent is None:
            return text
        phase = f"{self.phase} " if self.phase else ""
        return f"{text}: {phase}{self.percent} %"

    @property
    def share(self) -> float:
        """How much of the build is done, from 0 to 1."""
        done = (self.percent or 0) / 100
        if not self.phase:
            return done
        if self.phase == _SCAN:
            return _SCAN_SHARE * done
        return _SCAN_SHARE + (1 - _SCAN_SHARE) * done

    @classmethod
    def parse(cls, line: str) -> IndexBuild | None:
        """Read a line that ``str`` made; None for any other."""
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        percent = found["percent"]
        names, _, namespace = found["what"].rpartition(" of ")
        return cls(
            names=names,
            namespace=namespace,
            number=int(found["number"] or 1),
            of=int(found["of"] or 1),
            phase=found["phase"] or "",
            percent=None if percent is None else int(percent),
        )
