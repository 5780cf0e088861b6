"""What faults did to runs: kept as JSON, shown as the table of docs/reliability.md."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: begin -->\n", "<!-- faults: end -->\n"


class FaultRecord:
    """Per fault: how often tried, documents lost and duplicated, seconds until work continued."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, float]] = {}

    @classmethod
    def read(cls) -> FaultRecord:
        """The record of the last soak test."""
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
        """The rows in Markdown."""
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


def main() -> None:
    """Put the table into the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + FaultRecord.read().table() + END + after)


if __name__ == "__main__":
    main()
