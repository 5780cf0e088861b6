"""The picture of a bench: each case's rate as a share of its limit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import Measurement


def plot(found: Sequence[Measurement], path: Path) -> None:
    """Write a PNG; promises are marked."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = [item.case for item in found]
    figure, axes = pyplot.subplots(figsize=(9, 0.5 * len(found) + 1.5), layout="constrained")
    colors = ["#2a7f62" if item.kept else "#b3423a" for item in found]
    axes.barh(names, [item.share for item in found], color=colors)
    for row, item in enumerate(found):
        axes.text(item.share, row, f" {item.share:.2f}  ({item.rate:,.0f}/s)", va="center")
        if item.promised:
            axes.plot([item.promised] * 2, [row - 0.4, row + 0.4], color="black", linewidth=2)
    axes.invert_yaxis()
    axes.set_xlabel("share of the limit (black: promised)")
    axes.set_xlim(0, 1.25 * max(item.share for item in found))
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
