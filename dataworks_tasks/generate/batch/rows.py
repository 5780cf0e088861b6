"""The rows that a column makes values for: documents, or the elements of an array in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Positions
from dataworks_tasks.generate.batch.counter_hash import Bits


class Rows:
    """Some documents, or some array elements of them; a value is a function of these.

    ``indexes``   the document's index, by row
    ``keys``      the hash of seed, index and the way down to the element, by row
    ``ordinals``  a number no other row of this place in the collection has: the index for a
                  document, index * longest array + element for an element
    ``turns``     what fields whose values take turns count by
    ``array_indexes``    the element's index in its array; None for documents
    ``names``     the element's name: its index, less the elements before it that are missing
    ``parent``    the rows that hold the arrays, and ``parents`` each row's number among them
    """

    __slots__ = (
        "array_indexes",
        "indexes",
        "keys",
        "memo",
        "names",
        "ordinals",
        "parent",
        "parents",
        "seed",
        "turns",
    )

    def __init__(self, seed: int, indexes: Bits, keys: Bits, ordinals: Bits) -> None:
        self.seed = seed
        self.indexes = indexes
        self.keys = keys
        self.ordinals = self.turns = ordinals
        self.array_indexes: Positions | None = None
        self.names: Positions | None = None
        self.parent: Rows | None = None
        self.parents: Positions | None = None
        self.memo: dict[Any, Any] = {}

    @classmethod
    def documents(cls, seed: int, indexes: Bits) -> Rows:
        """Create the rows for the documents with these indexes, under ``seed``."""
        keys = counter_hash.document_keys(indexes, counter_hash.salt("seed", seed))
        return cls(seed, indexes, keys, indexes)

    def __len__(self) -> int:
        return len(self.indexes)

    def elements(self, counts: Positions, longest: int, fixed: bool) -> Rows:
        """Create the rows for the elements of one array per row.

        ``counts`` is the length of each array, never more than ``longest``; ``fixed`` means that
        every array has ``longest`` elements.
        """
        parents = np.repeat(np.arange(len(self)), counts)
        firsts = np.cumsum(counts) - counts
        places = np.arange(len(parents)) - firsts[parents]
        ordinals = self.ordinals[parents] * np.uint64(max(longest, 1)) + places.astype(np.uint64)
        keys = counter_hash.element_keys(self.keys[parents], places)
        rows = Rows(self.seed, self.indexes[parents], keys, ordinals)
        rows.array_indexes = rows.names = places
        if not fixed:
            # Arrays of varying length take turns at the first value; otherwise each array would
            # start with the same one if the longest length is a multiple of the number of values.
            rows.turns = self.turns[parents] + places.astype(np.uint64)
        rows.parent, rows.parents = self, parents
        return rows

    def parent_rows(self) -> tuple[Rows, Positions]:
        """Return the rows that hold the arrays, and the parent's position for each row.

        Raises TypeError for documents, which have no parent.
        """
        if self.parent is None or self.parents is None:
            raise TypeError("documents are not held by other rows")
        return self.parent, self.parents

    def select(self, numbers: Positions) -> Rows:
        """Return only the rows with these numbers."""
        if len(numbers) == len(self):
            return self
        rows = Rows(self.seed, self.indexes[numbers], self.keys[numbers], self.ordinals[numbers])
        rows.turns = rows.ordinals if self.turns is self.ordinals else self.turns[numbers]
        rows.parent = self.parent
        if self.array_indexes is not None and self.parents is not None:
            rows.array_indexes, rows.parents = self.array_indexes[numbers], self.parents[numbers]
        if self.names is not None:
            rows.names = self.names[numbers]
        return rows

    def for_documents(self, numbers: Bits) -> Rows:
        """Return the rows of documents ``numbers``, whose values are repeated or drawn again."""
        return Rows.documents(self.seed, numbers)
