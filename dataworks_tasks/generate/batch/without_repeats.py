"""Draws without replacement: every ordered choice of different numbers is equally likely.

What an array gets is a function of its own key, so it does not depend on the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dataworks_tasks.generate.batch import counter_hash
from dataworks_tasks.generate.batch.arena import Positions
from dataworks_tasks.generate.batch.counter_hash import Bits, Floats
from dataworks_tasks.generate.batch.rows import Rows

_SMALL = 64
"""Up to this many numbers, all are shuffled for every array, however few it takes."""
_CELLS = 1 << 20
"""Numbers shuffled at once, so that memory stays small."""
_TOTAL_WEIGHT = 1 << 40
_PATIENCE = 200
"""How often one element is drawn by a distribution before any remaining number is taken."""


class WithoutRepeats:
    """Numbers below ``count`` for the elements of arrays of at most ``longest`` elements.

    With ``weights``, each element is drawn by the weights of the remaining numbers; with
    ``sample``, it is drawn until it is one of the remaining numbers.
    """

    def __init__(
        self,
        salt: np.uint64,
        count: int,
        longest: int,
        weights: Sequence[float] = (),
        sample: Callable[[Bits], Floats] | None = None,
    ) -> None:
        self._salt, self._count, self._longest = salt, count, longest
        self._sample = sample
        self._weights = _integer_weights(weights) if weights else None

    def numbers(self, rows: Rows) -> Positions:
        """Return one number for each element of ``rows``."""
        parent, parents = rows.parent_rows()
        places = rows.array_indexes
        if places is None or not len(places):
            return np.zeros(len(rows), np.int64)
        if self._sample is not None:
            return self._sampled(self._sample, parent.keys[parents], parents, places)
        if self._weights is None and self._count > max(_SMALL, 4 * self._longest):
            return self._redrawn(parent.keys, parents, places)
        taken = int(places.max()) + 1
        drawn = np.empty((len(parent), taken), np.int64)
        height = max(1, _CELLS // self._count)
        for first in range(0, len(parent), height):
            keys = parent.keys[first : first + height]
            drawn[first : first + height] = (
                self._shuffled(keys, taken) if self._weights is None else self._weighed(keys, taken)
            )
        numbers: Positions = drawn[parents, places]
        return numbers

    def _bits(self, keys: Bits, number: int) -> Bits:
        return counter_hash.draw(keys + counter_hash.nth(number), self._salt)

    def _shuffled(self, keys: Bits, taken: int) -> Positions:
        """Do the first ``taken`` steps of a Fisher-Yates shuffle, one array per row."""
        deck = np.tile(np.arange(self._count, dtype=np.int32), len(keys))
        rows = deck.reshape(len(keys), self._count)
        firsts = np.arange(len(keys)) * self._count
        for place in range(taken):
            other = counter_hash.below(self._bits(keys, place), self._count - place)
            other += firsts
            other += place
            chosen = deck[other]
            deck[other] = rows[:, place]
            rows[:, place] = chosen
        return rows[:, :taken].astype(np.int64)

    def _weighed(self, keys: Bits, taken: int) -> Positions:
        left = np.tile(self._weights, (len(keys), 1)) if self._weights is not None else None
        assert left is not None
        drawn = np.empty((len(keys), taken), np.int64)
        every = np.arange(len(keys))
        for place in range(taken):
            passed = np.cumsum(left, axis=1)
            point = self._bits(keys, place) % passed[:, -1]
            drawn[:, place] = (passed <= point[:, None]).sum(axis=1)
            left[every, drawn[:, place]] = 0
        return drawn

    def _sampled(
        self, sample: Callable[[Bits], Floats], keys: Bits, parents: Positions, places: Positions
    ) -> Positions:
        """Draw element after element, each until no earlier one of its array has its number."""
        starts = keys + (places.astype(np.uint64) << np.uint64(32))
        numbers = -1 - np.arange(len(places))
        for place in range(int(places.max()) + 1):
            again, number = np.flatnonzero(places == place), 0
            so_far = np.flatnonzero(places <= place)
            while len(again):
                bits = counter_hash.draw(starts[again] + counter_hash.nth(number), self._salt)
                drawn = np.clip(np.rint(sample(bits)), 0, self._count - 1).astype(np.int64)
                if number >= _PATIENCE:
                    # The likely numbers are taken: any remaining number will do.
                    drawn = counter_hash.below(bits, self._count)
                numbers[again] = drawn
                repeated = _repeats(parents[so_far], numbers[so_far], places[so_far])
                again, number = np.sort(so_far[repeated]), number + 1
        return numbers

    def _redrawn(self, keys: Bits, parents: Positions, places: Positions) -> Positions:
        """Draw each; of two equal ones in an array, the later one is drawn again until all differ.

        All numbers are treated the same, so every ordered choice is equally likely.
        """
        starts = keys[parents] + (places.astype(np.uint64) << np.uint64(32))
        numbers = counter_hash.below(counter_hash.draw(starts, self._salt), self._count)
        again, number = _repeats(parents, numbers, places), 0
        while len(again):
            number += 1
            bits = counter_hash.draw(starts[again] + counter_hash.nth(number), self._salt)
            numbers[again] = counter_hash.below(bits, self._count)
            again = _repeats(parents, numbers, places)
        return numbers


def _repeats(parents: Positions, numbers: Positions, places: Positions) -> Positions:
    """Return the rows whose number an earlier element of the same array has."""
    order = np.lexsort((places, numbers, parents))
    same = (np.diff(parents[order]) == 0) & (np.diff(numbers[order]) == 0)
    later: Positions = order[1:][same]
    return later


def _integer_weights(weights: Sequence[float]) -> NDArray[np.uint64]:
    total = sum(weights)
    scaled = [int(weight / total * _TOTAL_WEIGHT) for weight in weights]
    return np.array(
        [max(number, weight > 0) for number, weight in zip(scaled, weights, strict=True)], np.uint64
    )
