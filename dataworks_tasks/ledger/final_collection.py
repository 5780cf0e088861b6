"""What the databases held of a run's collection when the run ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class HeldCollection:
    """A collection by its server's own records; None for what the server does not report."""

    name: str
    documents: int
    bytes: int | None
    indexes: int | None


@dataclass(frozen=True, slots=True)
class FinalCollection:
    """A target collection of a run, and the source collection that it came from, if any."""

    target: HeldCollection
    source: HeldCollection | None = None

    def as_json(self) -> dict[str, Any]:
        """Field names and values for machines."""
        return asdict(self)


def final_collection_to_json(collection: FinalCollection) -> str:
    """Encode the collection as the ledger keeps it."""
    return json.dumps(collection.as_json())


def read_final_collections(kept: Mapping[str, str]) -> tuple[FinalCollection, ...]:
    """Decode the collections that the ledger keeps, by name."""
    return tuple(_read(json.loads(kept[name])) for name in sorted(kept))


def _read(found: Mapping[str, Any]) -> FinalCollection:
    source = found["source"]
    return FinalCollection(
        HeldCollection(**found["target"]), HeldCollection(**source) if source else None
    )
