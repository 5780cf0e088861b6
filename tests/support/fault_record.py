"""What faults did to runs, and what runs claimed: kept as JSON, shown in docs/reliability.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
SITUATIONS = RESULTS.with_name("situations.json")
PAGE = ROOT / "docs" / "reliability.md"


class FaultRecord:
    """Per fault: how often tried, documents lost and duplicated, seconds until work continued."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, float]] = {}

    @classmethod
    def read(cls) -> FaultRecord:
        """Read the record of the last soak test."""
        record = cls()
        record._rows = json.loads(RESULTS.read_text())
        return record

    def add(self, fault: str, lost: int, duplicated: int, seconds: float) -> None:
        """One time that ``fault`` was tried; ``seconds``: until something more was acknowledged."""
        empty = {"tried": 0, "lost": 0, "duplicated": 0, "seconds": 0.0, "longest": 0.0}
        row = self._rows.setdefault(fault, empty)
        row["tried"] += 1
        row["lost"] += lost
        row["duplicated"] += duplicated
        row["seconds"] += seconds
        row["longest"] = max(row["longest"], seconds)

    def write(self) -> None:
        """Keep it for ``make fault-table``."""
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(self._rows, indent=2, sort_keys=True) + "\n")

    def table(self) -> str:
        """Return the rows in Markdown."""
        lines = [
            "| fault | tried | documents lost | duplicated | work continued after | at most |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for fault, row in sorted(self._rows.items()):
            mean = row["seconds"] / row["tried"]
            lines.append(
                f"| {fault} | {row['tried']:.0f} | {row['lost']:.0f} | {row['duplicated']:.0f} "
                f"| {mean:.1f} s | {row['longest']:.1f} s |"
            )
        return "\n".join(lines) + "\n"


class SituationRecord:
    """Per situation: how often played, what was said, and how often that was wrong."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}

    @classmethod
    def read(cls) -> SituationRecord:
        """Read the record of the last soak test."""
        record = cls()
        record._rows = json.loads(SITUATIONS.read_text())
        return record

    def add(self, situation: str, said: str, *, claims_more: bool, claims_less: bool) -> None:
        """One run; ``said``: its exit code and state."""
        row = self._rows.setdefault(situation, {"runs": 0, "said": {}, "more": 0, "less": 0})
        row["runs"] += 1
        row["said"][said] = row["said"].get(said, 0) + 1
        row["more"] += claims_more
        row["less"] += claims_less

    @property
    def claim_more(self) -> int:
        """Runs that claimed more than they had."""
        return sum(row["more"] for row in self._rows.values())

    def write(self) -> None:
        """Keep it for ``make fault-table``."""
        SITUATIONS.parent.mkdir(parents=True, exist_ok=True)
        SITUATIONS.write_text(json.dumps(self._rows, indent=2, sort_keys=True) + "\n")

    def table(self) -> str:
        """Return the rows in Markdown."""
        lines = [
            "| situation | runs | what they said | claimed more | less than they had |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, row in sorted(self._rows.items()):
            said = ", ".join(f"{count} x {said}" for said, count in sorted(row["said"].items()))
            lines.append(f"| {name} | {row['runs']} | {said} | {row['more']} | {row['less']} |")
        return "\n".join(lines) + "\n"


def put_table(name: str, table: str, page: Path = PAGE) -> None:
    """Put a table between the page's marks of that name."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(before + begin + table + end + after)


def main() -> None:
    """Put the tables into the page."""
    put_table("faults", FaultRecord.read().table())
    put_table("situations", SituationRecord.read().table())


if __name__ == "__main__":
    main()
