"""The picture of a migration that follows its source for a while: its lag, and memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_BINS = 60


class Sample(NamedTuple):
    """One change that arrived at the target: when, how old it was, and who had how much memory."""

    seconds: float
    lag_seconds: float
    worker_bytes: int
    redis_bytes: int

    @property
    def total_bytes(self) -> int:
        """Memory of everything but the databases."""
        return self.worker_bytes + self.redis_bytes


def plot_following(samples: Sequence[Sample], rate: int, path: Path) -> None:
    """Write an SVG: the lag at the median and 95th percentile of each bin, and memory."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "following"
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(
        2, 1, figsize=(9, 6), sharex=True, layout="constrained"
    )
    width = (samples[-1].seconds + 1e-9) / _BINS
    bins: list[list[Sample]] = [[] for _ in range(_BINS)]
    for sample in samples:
        bins[min(_BINS - 1, int(sample.seconds / width))].append(sample)
    filled = [(number, each) for number, each in enumerate(bins) if each]
    minutes = [(number + 0.5) * width / 60 for number, _ in filled]
    for share, label, color in ((0.5, "median", "#2a7f62"), (0.95, "95th percentile", "#b3423a")):
        lags = [
            sorted(sample.lag_seconds for sample in each)[int(len(each) * share)]
            for _, each in filled
        ]
        above.plot(minutes, lags, color=color, label=label)
    above.set_ylabel("lag in seconds")
    above.set_ylim(bottom=0)
    above.set_title(f"{rate:,} changes a second, a tenth of them of one document")
    above.legend()
    megabytes = {
        "worker (3 processes)": [each[-1].worker_bytes / 2**20 for _, each in filled],
        "Valkey": [each[-1].redis_bytes / 2**20 for _, each in filled],
    }
    for label, values in megabytes.items():
        below.plot(minutes, values, label=label)
    below.set_ylabel("memory in MB")
    below.set_ylim(bottom=0)
    below.set_xlabel("minutes")
    below.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
