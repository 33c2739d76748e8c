"""Chart of the conversion lag."""

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

NEARLY_ALL = 0.99  # share of credit that the chart covers; the rest is a long tail


@chart
def credit_lag_chart(figure: Figure, lags: pd.DataFrame, arrival: pd.DataFrame) -> None:
    """Cumulative share of credit by lag with the marks of `lag_marks`. Dashed: estimated completeness by age.

    In: `credit_by_lag`: `lag [days], cumulated [share]`, and `arrival`: `age [days], arrived [share]`.
    """
    figure.set_size_inches(WIDTH, 3.2)
    axes = figure.add_subplot()
    shares_by_lag = lag_marks(lags)
    late = [_reached(lags["lag"], lags["cumulated"], NEARLY_ALL)]
    if len(arrival):
        late.append(_reached(arrival["age"], arrival["arrived"], NEARLY_ALL))
    end = max(3, *late, 2 * max(shares_by_lag)) + 1
    curves = [(lags["lag"], lags["cumulated"], "-", BLUE, "credit to date")]
    if len(arrival):
        curves.append((arrival["age"], arrival["arrived"], "--", ORANGE, "estimated completeness"))
    ends: list[marks.Label] = []
    for days, shares, style, colour, text in curves:
        drawn = shares[days <= end].tolist()
        # A curve stays constant after its last day.
        axes.step([*range(len(drawn)), end], [*drawn, drawn[-1]], style, where="post", color=colour, linewidth=1.8)
        ends.append((drawn[-1], text, colour))
    _mark(axes, shares_by_lag)
    axes.set_ylim(0, 1.05)
    axes.set_xlim(-0.02 * end, end)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.yaxis.set_major_formatter(marks.SHARES)
    axes.set_ylabel("cumulative share of credit")
    axes.set_xlabel(f"days from session to order (longest: {fixed(int(lags['lag'].iloc[-1]))})")
    marks.label_series(figure, axes, end, ends)


def _reached(days: pd.Series[int], shares: pd.Series[float], share: float) -> int:
    """Return the first day on which the share is reached."""
    return int(days[shares >= share - 1e-9].iloc[0])


def _mark(axes: Axes, shares_by_lag: Mapping[int, float]) -> None:
    """Mark each lag with a dot on the curve, and write its text below the curve."""
    for height, (lag, share) in zip((0.14, 0.34), shares_by_lag.items(), strict=False):
        axes.vlines(lag, height, share, color=GREY, linewidth=0.8)
        axes.scatter(lag, share, color="white", edgecolor=BLUE, s=34, zorder=3)
        when = f"within {counted(lag, 'day')}" if lag else "on the same day"
        marks.write_beside(axes, lag, height, f"{percent(share)} {when}", gap=4)
