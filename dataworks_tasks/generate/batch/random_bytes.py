"""Random letters and bytes of any length, many at a time: the cost grows with the bytes alone.

Ten letters, or eight bytes, come from each draw: number ``n`` of a row from its key and ``n``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Arena, Bytes, Positions
from dataworks_tasks.generate.batch.counter_hash import Bits

LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_DRAWS_AT_ONCE = 1 << 13
"""So many that the working set stays in the processor's cache."""
_LETTERS_A_DRAW = 10
_PAIR_BITS = 12
_BYTES_A_DRAW = 8


def _pairs() -> NDArray[np.uint16]:
    """Return the two letters for every value of twelve bits, the lower six bits first."""
    letters = np.frombuffer(LETTERS, np.uint8).astype("<u2")
    number = np.arange(1 << _PAIR_BITS)
    pairs: NDArray[np.uint16] = letters[number & 63] | letters[number >> 6] << 8
    return pairs


_PAIRS = _pairs()


def random_letters(keys: Bits, salt: np.uint64, lengths: Positions) -> Arena:
    """``lengths[row]`` letters a row."""
    draws = np.maximum(-(-lengths // _LETTERS_A_DRAW), 1)
    buffer, starts = _buffer(draws, lengths, _LETTERS_A_DRAW)
    pairs = buffer[: int(draws.sum()) * _LETTERS_A_DRAW].view("<u2").reshape(-1, 5)
    mask = np.uint64((1 << _PAIR_BITS) - 1)
    for first, bits in _drawn(keys, salt, draws):
        target = pairs[first : first + len(bits)]
        for place in range(_LETTERS_A_DRAW // 2):
            target[:, place] = _PAIRS[(bits & mask).view(np.int64)]
            np.right_shift(bits, np.uint64(_PAIR_BITS), out=bits)
    return Arena.over(buffer, starts, lengths)


def random_bytes(keys: Bits, salt: np.uint64, lengths: Positions) -> Arena:
    """``lengths[row]`` bytes a row."""
    draws = -(-lengths // _BYTES_A_DRAW)
    buffer, starts = _buffer(draws, lengths, _BYTES_A_DRAW)
    words = buffer[: int(draws.sum()) * _BYTES_A_DRAW].view("<u8")
    for first, bits in _drawn(keys, salt, draws):
        words[first : first + len(bits)] = bits
    return Arena.over(buffer, starts, lengths)


def _buffer(draws: Positions, lengths: Positions, width: int) -> tuple[Bytes, Positions]:
    """Room for all rows and an arena's padding, and where each row starts."""
    ends = np.cumsum(draws)
    total = int(ends[-1]) if len(ends) else 0
    padding = int(lengths.max(initial=0))
    buffer = np.empty(total * width + padding, np.uint8)
    buffer[total * width :] = 0
    return buffer, (ends - draws) * width


def _drawn(keys: Bits, salt: np.uint64, draws: Positions) -> Iterator[tuple[int, Bits]]:
    """Yield the draws of all rows in blocks, each with the number of its first draw."""
    ends = np.cumsum(draws)
    total = int(ends[-1]) if len(ends) else 0
    if total == len(draws) and (draws == 1).all():
        yield 0, counter_hash.draw(keys, salt)
        return
    for first in range(0, total, _DRAWS_AT_ONCE):
        last = min(first + _DRAWS_AT_ONCE, total)
        begin = int(np.searchsorted(ends, first, side="right"))
        end = int(np.searchsorted(ends, last - 1, side="right")) + 1
        firsts = np.maximum(ends[begin:end] - draws[begin:end], first)
        counts = np.minimum(ends[begin:end], last) - firsts
        # A row's draw n has the key plus n times GOLDEN: counted from where the row begins.
        bases = (
            keys[begin:end]
            - (ends[begin:end] - draws[begin:end]).astype(np.uint64) * counter_hash.GOLDEN
        )
        numbers = np.arange(first, last, dtype=np.uint64)
        numbers *= counter_hash.GOLDEN
        numbers += bases[0] if end - begin == 1 else np.repeat(bases, counts)
        yield first, counter_hash.draw(numbers, salt)
