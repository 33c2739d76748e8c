"""Chart of the changes between two runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ihc.analysis.changes import CAUSES
from ihc.arrays.types import Floats
from ihc.charts import marks
from ihc.charts.style import BLUE, GREY, INK, ORANGE, SKY, WIDTH, chart
from ihc.formatting import fixed

# The colours of Okabe and Ito, as in the other charts. Grey: changed dates, which are no change in the shop.
COLOURS = dict(zip(CAUSES, (BLUE, SKY, "#F0E442", "#E69F00", ORANGE, "#009E73", "#CC79A7", GREY), strict=True))
ROOM = 0.22  # space for the figures, as a share of the length of the bars
# Number format by the largest change: minimum, divisor, decimals, suffix.
FORMS = ((1e6, 1e6, 1, " M"), (10, 1, 0, ""), (0, 1, 2, ""))


@chart
def changes_by_channel_chart(figure: Figure, table: pd.DataFrame, currency: str = "currency") -> None:
    """One row per channel: the change in attributed revenue by cause.

    The figure next to a row is the net change. A marker shows it as well if bars go both ways.
    In: `largest_changes`: `channel_name`, one column per cause that occurs, `ihc_revenue_change` [currency].
    """
    causes = [cause for cause in CAUSES if cause in table.columns]
    figure.set_size_inches(WIDTH, 1.2 + 0.2 * ((len(causes) + 2) // 2) + 0.3 * len(table))
    axes = figure.add_subplot()
    marks.name_rows(axes, table["channel_name"])
    rows = np.arange(len(table))
    added, taken = np.zeros(len(table)), np.zeros(len(table))
    for cause in causes:
        amounts = table[cause].to_numpy("float64")
        starts = np.where(amounts >= 0, added, taken)
        axes.barh(rows, amounts, left=starts, color=COLOURS[cause], height=0.7, label=CAUSES[cause])
        added, taken = added + amounts.clip(min=0), taken + amounts.clip(max=0)
    change = table["ihc_revenue_change"].to_numpy("float64")
    is_mixed = (added > 0) & (taken < 0)
    if is_mixed.any():
        at = (change[is_mixed], rows[is_mixed])
        axes.scatter(*at, color="white", edgecolor=INK, s=26, marker="D", zorder=3, label="net change")
    _write_changes(axes, change, np.where(change >= 0, added, taken))
    left, right = (ROOM if is_there else 0.02 for is_there in ((change < 0).any(), (change >= 0).any()))
    reach = added.max() - taken.min() or 1.0
    axes.set_xlim(taken.min() - left * reach, added.max() + right * reach)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.spines.left.set_visible(False)
    marks.amount_axis(axes.xaxis, 5)
    axes.set_xlabel(f"change in attributed revenue [{currency}]")
    marks.legend_above(figure)


def _write_changes(axes: Axes, change: Floats, ends: Floats) -> None:
    """Write the net change next to the bars of each row."""
    size, decimals, unit = next(entry[1:] for entry in FORMS if np.abs(change).max() >= entry[0])
    for row, (value, end) in enumerate(zip(change, ends, strict=True)):
        text = fixed(value / size, decimals, sign=True) + unit
        is_zero = not any(digit in text for digit in "123456789")
        marks.write_beside(axes, end, row, "±0" if is_zero else text, gap=6, left=value < 0)
