"""Plain charts for questions beside the report: bars of any figure, and a line of ROAS over time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ihc.charts import marks
from ihc.charts.style import BLUE, GREY, INK, ORANGE, SKY, WIDTH, chart
from ihc.glossary import FORMATS, heading

COLOURS = (BLUE, ORANGE, SKY, GREY)
MOST_BARS, MOST_TICKS = 20, 8


@chart
def bars_chart(figure: Figure, frame: pd.DataFrame, column: str, *figures: str) -> None:
    """A row for each value of `column`, a bar for each of the `figures` beside each other; 20 rows at most."""
    frame = frame.head(MOST_BARS)
    shown = figures[: len(COLOURS)]
    figure.set_size_inches(WIDTH, 1.2 + (0.16 + 0.16 * len(shown)) * len(frame))
    axes = figure.add_subplot()
    marks.name_rows(axes, frame[column])
    rows, height = np.arange(len(frame)), 0.8 / len(shown)
    for place, (name, colour) in enumerate(zip(shown, COLOURS, strict=False)):
        offset = (place - (len(shown) - 1) / 2) * height
        values = frame[name].astype("float64")
        axes.barh(rows + offset, values.fillna(0.0), height=0.9 * height, color=colour, label=heading(name)[0])
        if len(shown) == 1:
            style = FORMATS[heading(name)[1]]
            for row, value in zip(rows.tolist(), values, strict=True):
                marks.write_beside(
                    axes, max(np.nan_to_num(value), 0), row, style.format(value) if value == value else "–"
                )
    axes.margins(x=0.18)
    axes.spines.left.set_visible(False)
    if len(shown) > 1:
        marks.legend_above(figure)
    else:
        axes.set_xlabel(heading(shown[0])[0])


@chart
def roas_trend_chart(figure: Figure, frame: pd.DataFrame, column: str, roas: float = 1.0) -> None:
    """A line of ROAS over the periods of `column`; dashed is break-even. In: `column`, `ROAS` [1; NaN leaves a gap]."""
    figure.set_size_inches(WIDTH, 2.8)
    axes = figure.add_subplot()
    places = np.arange(len(frame))
    axes.plot(places, frame["ROAS"], color=BLUE, marker="o", markersize=4)
    axes.axhline(roas, color=INK, linewidth=1, linestyle="--")
    axes.set_ylim(bottom=min(0.0, float(np.nan_to_num(frame["ROAS"].min()))))
    step = -(-len(frame) // MOST_TICKS)
    axes.set_xticks(places[::step], labels=frame[column].tolist()[::step])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_ylabel("ROAS")
