"""A chart of the models side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ihc.charts.style import INK, WIDTH, chart, name_rows, short
from ihc.formatting import shown

ON_CELL = "#1c1c1c"  # text on a pale cell: unlike INK it stays dark where the page is dark
FAR = 0.5  # the difference between models from which on the colour stays the same


@chart
def models_by_channel(figure: Figure, relative: pd.DataFrame) -> None:
    """A row a channel, a column a model: how far its revenue is from the first model's, which stands in money.

    In: `relative_to_first`: `channel_name`, the first model [currency], the others [1].
    """
    figure.set_size_inches(WIDTH, 1.8 + 0.28 * len(relative))
    axes = figure.add_subplot()
    places = name_rows(axes, relative["channel_name"], 22)
    first, *others = (name for name in relative.columns if name != "channel_name")
    shares = relative[others].to_numpy("float64")
    if others:
        edges = np.arange(len(others) + 1) + 0.5, np.arange(len(relative) + 1) - 0.5
        axes.pcolormesh(*edges, shares, cmap="PuOr", vmin=-FAR, vmax=FAR, edgecolor="white", linewidth=1)
    for place in places:
        axes.text(0.3, place, short(relative[first].iloc[place]), ha="right", va="center", fontsize=8)
        for column, share in enumerate(shares[place], start=1):
            colour = INK if np.isnan(share) else "white" if abs(share) > 0.7 * FAR else ON_CELL
            axes.text(column, place, _percent(share), ha="center", va="center", fontsize=8, color=colour)
    axes.xaxis.tick_top()
    names = [f"{first}, revenue", *others]
    axes.set_xticks(range(len(names)), labels=[shown(name, 22) for name in names])
    axes.tick_params(axis="x", length=0, labelsize=9, rotation=40, pad=2)
    for label in axes.get_xticklabels():
        label.set(horizontalalignment="left", rotation_mode="anchor")
    axes.set_xlim(-0.7, len(others) + 0.5)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"% more or less than under {shown(first)}")


def _percent(share: float) -> str:
    if not np.isfinite(share):
        return "–"
    text = f"{100 * share:+.0f}"
    return "0" if text in ("+0", "-0") else text if abs(share) < 10 else f"{'>+' if share > 0 else '<-'}999"
