"""The progress of an index build: a line for people that a view can also parse."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"building (?P<what>.+?)(?: \((?P<number>\d+) of (?P<of>\d+)\))?"
    r"(?:: (?P<percent>\d+) ?%)?"
)


@dataclass(frozen=True, slots=True)
class IndexBuild:
    """The build of one index, or of several in one pass, of one collection.

    ``number`` of ``of`` builds of this collection. ``percent`` is None if the server does not
    report it.
    """

    names: str
    namespace: str
    number: int = 1
    of: int = 1
    percent: int | None = None

    def __str__(self) -> str:
        numbered = f" ({self.number} of {self.of})" if self.of > 1 else ""
        text = f"building {self.names} of {self.namespace}{numbered}"
        if self.percent is None:
            return text
        return f"{text}: {self.percent}%"

    @property
    def share(self) -> float:
        """How much of the build is done, from 0 to 1."""
        return (self.percent or 0) / 100

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
            percent=None if percent is None else int(percent),
        )
