"""How often values repeat, to check unique indexes over generated documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import expm1, inf, prod


@dataclass(frozen=True, slots=True)
class Variety:
    """How likely a field of two documents has the same value.

    ``chance`` is a lower bound of the probability for any two documents. No value repeats among the
    first ``period`` documents; 1 if no documents are known to differ.
    """

    chance: float
    period: float = 1

    @classmethod
    def never_repeats(cls, period: float | None) -> Variety:
        """Values that differ within ``period`` documents and then start over; None: never."""
        period = inf if period is None else period
        return cls(1 / period, period)

    @classmethod
    def among(cls, count: float) -> Variety:
        """Draws from ``count`` values."""
        return cls(1 / max(count, 1))

    @classmethod
    def weighted(cls, weights: Sequence[float]) -> Variety:
        """Draws by weight."""
        total = sum(weights)
        return cls(sum((weight / total) ** 2 for weight in weights))

    def repeats(self, documents: int) -> float:
        """Return how many documents to expect with the value of an earlier one; 0: none at all."""
        if documents <= self.period:
            return 0
        if self.period > 1:
            return documents - self.period
        values = 1 / self.chance if self.chance else inf
        if documents < values / 1e4:
            return documents * (documents - 1) / 2 / values
        return documents + values * expm1(-documents / values)


CONSTANT = Variety(1.0)


def together(varieties: Iterable[Variety | None]) -> Variety | None:
    """Combine several fields, as in a compound key; None if one of them is unknown."""
    known = list(varieties)
    if any(variety is None for variety in known):
        return None
    sure = [variety for variety in known if variety is not None]
    return Variety(
        prod(variety.chance for variety in sure), max((v.period for v in sure), default=1)
    )


def of_lengths(letters: int, least: int, most: int) -> Variety:
    """Text of ``least`` to ``most`` characters out of ``letters``, all lengths equally likely."""
    lengths = range(least, min(most, least + 40) + 1)
    share = 1 / (most - least + 1)
    return Variety(share**2 * sum(float(letters) ** -length for length in lengths))
