"""Which ``_id``s a generation run gives to its documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from dataworks_tasks.documents.raw_bson import find_element
from dataworks_tasks.generate.batch.document_id import PREFIX_BYTES
from dataworks_tasks.generate.generation_work import PartSource

_OBJECT_ID = 0x07


@dataclass(frozen=True, slots=True)
class RunIds:
    """ObjectIds from ``document_id``: for each prefix, how many documents have it."""

    counts: dict[bytes, int]

    @classmethod
    def of(cls, sources: Sequence[PartSource]) -> Self | None:
        """Return the ids of these parts; None if a template generates its own ``_id``s."""
        counts: dict[bytes, int] = {}
        for source in sources:
            count = source.part.count
            for index in sorted({0, count - 1}) if count else ():
                made = source.documents.generate(index, index + 1).document(0)
                id_ = find_element(made, b"_id")
                if id_ is None or id_.type != _OBJECT_ID:
                    return None
                if int.from_bytes(id_.value[PREFIX_BYTES:]) != index:
                    return None
                prefix = id_.value[:PREFIX_BYTES]
                counts[prefix] = max(count, counts.get(prefix, 0))
        return cls(counts)

    def __contains__(self, document: bytes) -> bool:
        id_ = find_element(document, b"_id")
        if id_ is None or id_.type != _OBJECT_ID:
            return False
        count = self.counts.get(id_.value[:PREFIX_BYTES], 0)
        return int.from_bytes(id_.value[PREFIX_BYTES:]) < count
