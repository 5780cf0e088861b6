"""The indexes that a run's cut-overs build: the source may change or drop one before the last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from dataworks_tasks.ledger.key_windows import Append, Place
from dataworks_tasks.migrate.index_definition import same_index
from dataworks_tasks.migrate.read_indexes import read_indexes
from dataworks_tasks.runs.spec import MigrationJob
from producer.connections import Connections

_BUILT = "built_indexes"
"""The place's name in the ledger: names of indexes by collection of the target, as JSON."""


@dataclass(frozen=True, slots=True)
class BuiltIndexes:
    """Those that this cut-over and earlier ones have built, or were about to build."""

    connections: Connections
    run_id: str

    def note(self, job: MigrationJob) -> None:
        """Record which of the source's indexes the target lacks, before they are built."""
        windows = self.connections.ledger.key_windows
        kept = windows.place(self.run_id, _BUILT)
        names: dict[str, list[str]] = json.loads(kept or b"{}")
        for pair in job.namespaces:
            there = {index["name"] for index in read_indexes(self.connections.target, pair.target)}
            here = {index["name"] for index in read_indexes(self.connections.source, pair.source)}
            ours = {*names.get(str(pair.target), ()), *(here - there)}
            names[str(pair.target)] = sorted(ours)
        place = Place(_BUILT, kept, json.dumps(names).encode())
        windows.append(self.run_id, Append(place=place))

    def drop_outdated(self, job: MigrationJob) -> Iterator[str]:
        """Drop those of them that the source no longer has as they are; yield a line for each."""
        kept = self.connections.ledger.key_windows.place(self.run_id, _BUILT)
        names = json.loads(kept or b"{}")
        target = self.connections.target
        for pair in job.namespaces:
            here = read_indexes(self.connections.source, pair.source)
            for index in read_indexes(target, pair.target):
                if index["name"] not in names.get(str(pair.target), ()):
                    continue
                if any(same_index(one, index) for one in here):
                    continue
                drop = {"dropIndexes": pair.target.collection, "index": index["name"]}
                target.command(pair.target.database, drop)
                yield f"{pair.target}: dropped the index {index['name']}, as at the source"
