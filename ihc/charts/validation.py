"""Chart of the errors of the models against the truth of simulated shops."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ihc.charts import marks
from ihc.charts.style import BLUE, GREY, INK, PALE, WIDTH, chart
from ihc.formatting import fixed, shown
from ihc.lab.validation import EQUAL, IHC


@chart
def share_errors_chart(figure: Figure, table: pd.DataFrame) -> None:
    """One panel per generator, one row per model: the mean error of shares as a dot, lowest to highest seed as a line.

    Dashed: equal shares. In: `generator, model, share_error, share_error_low, share_error_high [1]`.
    """
    groups = list(table.groupby("generator", sort=False))
    lines = -(-len(groups) // 2)
    columns = min(len(groups), 2)
    models = table.loc[table["model"] != EQUAL, "model"].drop_duplicates()
    figure.set_size_inches(WIDTH, lines * (0.9 + marks.ROW * len(models)))
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes in panels.ravel()[len(groups) :]:
        axes.set_visible(False)
    for axes, (generator, rows) in zip(panels.ravel(), groups, strict=False):
        marks.name_rows(axes, models)
        errors = rows.set_index("model").reindex(models)
        places = np.arange(len(errors))
        colours = [BLUE if model == IHC else GREY for model in models]
        axes.hlines(places, errors["share_error_low"], errors["share_error_high"], color=colours, linewidth=2)
        axes.scatter(errors["share_error"], places, color=colours, s=26, zorder=3)
        for equal in rows.loc[rows["model"] == EQUAL, "share_error"]:
            axes.axvline(equal, color=INK, linewidth=1, linestyle="--", zorder=1)
        axes.grid(axis="x", color=PALE, linewidth=0.6)
        axes.set_title(shown(generator, marks.NARROW))
        axes.set_xlim(0, 1.1 * rows["share_error_high"].max())
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.xaxis.set_major_formatter(lambda value, _: fixed(value, 2))
    panels[-1, 0].set_xlabel("error of shares; dashed: equal shares", loc="left")
