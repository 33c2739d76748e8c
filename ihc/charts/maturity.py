"""A chart of how long credit takes to arrive."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ihc.analysis.maturity import lag_marks
from ihc.charts import marks
from ihc.charts.style import BLUE, GREY, ORANGE, WIDTH, chart
from ihc.formatting import counted, fixed, percent

NEARLY_ALL = 0.99  # of the credit; what comes later is a tail


@chart
def credit_lag_chart(figure: Figure, lags: pd.DataFrame, arrival: pd.DataFrame) -> None:
    """The share of the credit by lag, added up, with the marks of `lag_marks`; dashed, its estimated arrival.

    In: `credit_by_lag`: `lag [days], cumulated [share]`, and `arrival`: `age [days], arrived [share]`.
    """
    figure.set_size_inches(WIDTH, 3.2)
    axes = figure.add_subplot()
    shares_by_lag = lag_marks(lags)
    late = [_reached(lags["lag"], lags["cumulated"], NEARLY_ALL)]
    if len(arrival):
        late.append(_reached(arrival["age"], arrival["arrived"], NEARLY_ALL))
    end = max(3, *late, 2 * max(shares_by_lag)) + 1
    curves = [(lags["lag"], lags["cumulated"], "-", BLUE, "credit so far")]
    if len(arrival):
        curves.append((arrival["age"], arrival["arrived"], "--", ORANGE, "estimated arrival"))
    ends: list[marks.Label] = []
    for days, shares, style, colour, text in curves:
        drawn = shares[days <= end].tolist()
        # Beyond its last day a curve stays at all of it.
        axes.step([*range(len(drawn)), end], [*drawn, drawn[-1]], style, where="post", color=colour, linewidth=1.8)
        ends.append((drawn[-1], text, colour))
    _mark(axes, shares_by_lag)
    axes.set_ylim(0, 1.05)
    axes.set_xlim(-0.02 * end, end)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.yaxis.set_major_formatter(marks.SHARES)
    axes.set_ylabel("share of the credit")
    axes.set_xlabel(f"days from the session to the order, at most {fixed(int(lags['lag'].iloc[-1]))}")
    marks.label_series(figure, axes, end, ends)


def _reached(days: pd.Series[int], shares: pd.Series[float], share: float) -> int:
    """The first day on which the share is reached."""
    return int(days[shares >= share - 1e-9].iloc[0])


def _mark(axes: Axes, shares_by_lag: Mapping[int, float]) -> None:
    """A dot on the curve at each lag, and its text below the curve, where there is room."""
    for height, (lag, share) in zip((0.14, 0.34), shares_by_lag.items(), strict=False):
        axes.vlines(lag, height, share, color=GREY, linewidth=0.8)
        axes.scatter(lag, share, color="white", edgecolor=BLUE, s=34, zorder=3)
        when = f"within {counted(lag, 'day')}" if lag else "on the same day"
        marks.write_beside(axes, lag, height, f"{percent(share)} {when}", gap=4)
