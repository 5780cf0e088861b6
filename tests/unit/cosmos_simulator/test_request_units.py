"""Charges at the points that are documented."""

from __future__ import annotations

import numpy as np
import pytest

from producer.cosmos_simulator.request_units import insert_charges, read_charge, replace_charges


def sizes(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, dtype=np.int64)


def test_the_documented_points() -> None:
    assert insert_charges(sizes(100, 1024)) == pytest.approx([5.5, 5.5])
    assert replace_charges(sizes(1024)) == pytest.approx([11])
    assert read_charge(200) == 1
    assert read_charge(4096) == 4


def test_charges_grow_with_the_size_beyond_the_table_too() -> None:
    charges = insert_charges(sizes(*(1024 * 2**power for power in range(15))))
    assert (np.diff(charges) > 0).all()
    assert charges[14] == pytest.approx(8 * charges[11])
