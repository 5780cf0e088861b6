"""What an operation costs in request units (RU).

Fixed points: a point read of 1 KB costs 1 RU, an insert of 1 KB about 5.5, a replace twice an
insert (docs/cosmos-facts.md section 3). Between sizes the charge follows the shape of Microsoft's
published table ("Understand request unit consumption": 1 KB to 2,048 KB), scaled to those points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Charges = NDArray[np.float64]

INSERT_1KB_RU = 5.5
READ_1KB_RU = 1.0

_SIZES_KB = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
_WRITE_FACTORS = tuple(
    charge / 4.95
    for charge in (
        *(4.95, 6.29, 6.67, 7.04, 9.52, 11.23),
        *(22.67, 48.19, 98.29, 184.57, 625.0, 1250.0),
    )
)


def insert_charges(sizes_bytes: NDArray[np.int64]) -> Charges:
    """RU of inserting documents of these sizes. Beyond the table the charge grows with the size."""
    sizes_kb = sizes_bytes / 1024
    inside = np.interp(sizes_kb, _SIZES_KB, _WRITE_FACTORS)
    beyond = np.maximum(sizes_kb / _SIZES_KB[-1], 1.0)
    charges: Charges = INSERT_1KB_RU * inside * beyond
    return charges


def replace_charges(sizes_bytes: NDArray[np.int64]) -> Charges:
    """Return the RU of replacing documents with these: twice an insert."""
    return 2 * insert_charges(sizes_bytes)


def read_charge(reply_bytes: int) -> float:
    """Return the RU of a page of results: 1 per KB, at least 1."""
    return READ_1KB_RU * max(1.0, reply_bytes / 1024)
