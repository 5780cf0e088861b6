"""A keyed permutation of ``[0, count)``: unique values without remembering any."""

from __future__ import annotations

import numpy as np

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.counter_hash import Bits, Integers

_ROUNDS = 4


def permute(numbers: Bits, count: int, field_salt: np.uint64, seed: int) -> Integers:
    """Map each number below ``count`` to another one; larger numbers start over at 0.

    Rounds of odd multiplication and xor-shift permute the next power of two; a result outside ``[0,
    count)`` is permuted again until it is inside, which keeps the mapping one to one. ``count`` is
    at most 2**64.
    """
    if count < 1 << 64:
        numbers = numbers % np.uint64(count)
    if count == 1:
        return np.zeros(len(numbers), np.int64)
    bits = max((count - 1).bit_length(), 1)
    keys = [counter_hash.salt(int(field_salt), seed, round_) for round_ in range(2 * _ROUNDS)]
    result = _scramble(numbers, bits, keys)
    if count == 1 << bits:
        return result.view(np.int64)
    outside = np.flatnonzero(result >= np.uint64(count))
    while len(outside):
        result[outside] = _scramble(result[outside], bits, keys)
        outside = outside[result[outside] >= np.uint64(count)]
    return result.view(np.int64)


def _scramble(numbers: Bits, bits: int, keys: list[np.uint64]) -> Bits:
    mask = np.uint64((1 << bits) - 1)
    shift = np.uint64(max(bits // 2, 1))
    for multiplier, offset in zip(keys[::2], keys[1::2], strict=True):
        numbers = (numbers * (multiplier | np.uint64(1)) + offset) & mask
        numbers ^= numbers >> shift
    return numbers
