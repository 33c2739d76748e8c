"""Draw how the time of each stage grows with the size of the shop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from ihc.charts.style import BLUE, GREY, PALE, styled


def draw_growth(seconds: dict[str, dict[int, float]], file: Path) -> None:
    """Draw one line per stage on logarithmic axes; the dashed lines grow as the number of sessions does.

    In: by stage, the seconds by number of sessions.
    """
    with styled():
        figure = Figure(figsize=(8, 4.6))
        axes = figure.add_subplot()
        sizes = np.array(sorted({size for line in seconds.values() for size in line}), dtype="float64")
        times = [time for line in seconds.values() for time in line.values()]
        for last in 10.0 ** np.arange(-5, 4):
            axes.plot(sizes, last * sizes / sizes[-1], color=PALE, linewidth=1, linestyle="--", zorder=0)
        for line in seconds.values():
            axes.plot([*line], [*line.values()], color=BLUE, linewidth=1.4, marker="o", markersize=3)
        axes.set(xscale="log", yscale="log", xlabel="sessions", ylabel="seconds")
        axes.set_ylim(min(times) / 2, max(times) * 2)
        axes.set_xticks(sizes)
        axes.xaxis.set_minor_locator(NullLocator())
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        _label_ends(axes, seconds)
        figure.savefig(file, metadata={"Date": None})


def _label_ends(axes, seconds) -> None:
    """Write the names of the stages beside their last points, evenly spread."""
    ends = sorted((line[max(line)], max(line), name) for name, line in seconds.items())
    for (end, size, name), place in zip(ends, np.linspace(0.03, 0.97, len(ends)), strict=True):
        axes.annotate(
            f"{name}  {end:.3g} s",
            (size, end),
            (1.1, place),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "relpos": (0, 0.5), "shrinkA": 2},
        )
