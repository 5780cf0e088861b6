"""Exact shares of missing and null values, spread over a block of documents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Positions
from dataworks_tasks.generate.batch.rows import Rows


@dataclass(frozen=True, slots=True)
class Shares:
    """Exact shares of a block of ``block`` documents that are missing, and that are null."""

    block: int
    missing: int
    null: int

    def ranks(self, path: str, rows: Rows) -> Positions:
        """Rank each row in a shuffle of its block: the first N ranks of a block are the share."""
        block = np.uint64(self.block)
        keys = (rows.indexes // block) * counter_hash.GOLDEN
        keys += counter_hash.salt(path, rows.seed, "share")
        if rows.array_indexes is not None:
            keys += rows.array_indexes.astype(np.uint64) * np.uint64(0xD1342543DE82EF95)
        bits = counter_hash.mix(keys)
        steps = _steps(self.block)
        step = steps[counter_hash.below(bits, len(steps))]
        rank = (rows.indexes % block) * step + (bits & np.uint64(0xFFFFFFFF))
        return (rank % block).view(np.int64)


@lru_cache(maxsize=64)
def _steps(block: int) -> counter_hash.Bits:
    """Multipliers that permute the numbers below ``block``."""
    return np.array([n for n in range(1, block + 1) if gcd(n, block) == 1], np.uint64)
