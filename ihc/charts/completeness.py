"""Charts of the reconciliation, spend without credit, and untracked orders."""

from __future__ import annotations

from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, date2num, num2date
from matplotlib.figure import Figure

from ihc.charts import marks
from ihc.charts.style import BLUE, GREY, INK, ORANGE, SKY, WIDTH, chart, say
from ihc.formatting import brief_percent, dated_axis, fixed, printable

LINE_WIDTH = 26  # characters per line of a row label
NO_AMOUNT = 1e-6  # an axis that ends below this has no amounts
LABELLED_DAYS = 10  # maximum number of days with a figure on each bar and a tick for each day
YEAR_SHOWN = 300  # minimum number of days for ticks with a year


@chart
def waterfall_chart(figure: Figure, bars: pd.DataFrame, currency: str = "currency") -> None:
    """Waterfall chart of the reconciliation: totals start at 0, deductions and additions float between them.

    In: `waterfall`: `line, kind, start, end, amount [currency]`; `currency`, the unit of the axis.
    """
    figure.set_size_inches(WIDTH, 0.8 + 0.42 * len(bars))
    axes = figure.add_subplot()
    marks.name_rows(axes, bars["line"])
    rows = np.arange(len(bars))
    lines = ["\n".join(wrap(printable(line), LINE_WIDTH, max_lines=2, placeholder="…")) for line in bars["line"]]
    axes.set_yticks(rows, labels=lines)
    is_total, amounts = bars["kind"] == "total", bars["amount"]
    colours = np.where(is_total, BLUE, np.where(amounts < 0, ORANGE, SKY)).tolist()
    axes.barh(rows, bars["end"] - bars["start"], left=bars["start"], color=colours, height=0.6)
    # Connect the end of each bar with the next one, so that even tiny steps are visible.
    axes.vlines(bars["end"].iloc[:-1], rows[:-1] - 0.3, rows[1:] + 0.3, color=GREY, lw=0.8)
    texts = [fixed(value, 2, sign=not total) if value else "0" for value, total in zip(amounts, is_total, strict=True)]
    marks.label_ends(axes, np.maximum(bars["start"], bars["end"]), texts)
    _amounts(axes, currency)


def _amounts(axes: Axes, label: str) -> None:
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.margins(x=0.28)
    if axes.dataLim.x0 >= 0:
        axes.set_xlim(0, None if axes.dataLim.x1 > NO_AMOUNT else 1)
    marks.amount_axis(axes.xaxis, 5)
    axes.set_xlabel(label)


@chart
def cost_without_credit_chart(figure: Figure, by_channel: pd.DataFrame, currency: str = "currency") -> None:
    """One bar per channel: spend on sessions without credit (with its figure), then spend on sessions with credit.

    In: the channels of `without_credit_by_channel`, without its total: `channel_name, cost, cost_without_credit
    [currency], share_without_credit [1]`.
    """
    axes = marks.row_axes(figure, by_channel["channel_name"])
    rows, idle = range(len(by_channel)), by_channel["cost_without_credit"]
    axes.barh(rows, idle, color=ORANGE, height=0.7, label="spend without credit (share)")
    axes.barh(rows, by_channel["cost"] - idle, left=idle, color=BLUE, height=0.7, label="spend with credit")
    texts = [
        (f"{_whole(part)} ({brief_percent(share)})" if part else "0") if cost else "no spend"
        for cost, part, share in zip(by_channel["cost"], idle, by_channel["share_without_credit"], strict=True)
    ]
    marks.label_ends(axes, by_channel["cost"], texts)
    _amounts(axes, f"spend [{currency}]")
    marks.legend_above(figure)


def _whole(amount: float) -> str:
    return fixed(amount) if abs(amount) >= 0.5 else "<1"


@chart
def unattributed_by_day_chart(figure: Figure, by_day: pd.DataFrame, currency: str = "currency") -> None:
    """Bars by day: revenue of untracked orders and, in a second panel, of waiting or failed orders, if any.

    In: `without_credit_by_day`: `day, unattributed_revenue, waiting_or_failed_revenue [currency]`.
    """
    panels_of = {
        "unattributed_revenue": ("untracked", ORANGE),
        "waiting_or_failed_revenue": ("waiting or failed", BLUE),
    }
    shown = {column: panel for column, panel in panels_of.items() if by_day[column].any()}
    if not shown:
        say(figure, "All orders are credited on every day.")
        return
    figure.set_size_inches(WIDTH, 0.9 + 1.7 * len(shown))
    days = pd.to_datetime(by_day["day"])
    panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (column, (title, colour)) in zip(panels, shown.items(), strict=True):
        axes.bar(days, by_day[column], color=colour, width=0.8 if len(days) <= LABELLED_DAYS else 1)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_title(f"Revenue of {title} orders", fontsize=10)
        marks.amount_axis(axes.yaxis, 4)
        axes.set_ylabel(currency)
        if len(days) <= LABELLED_DAYS:
            _write_amounts(axes, days, by_day[column])
    _day_ticks(panels[-1], days)


def _write_amounts(axes: Axes, days: pd.Series[pd.Timestamp], revenue: pd.Series[float]) -> None:
    for day, value in zip(days, revenue, strict=True):
        shift, side = ((0, 3), "bottom") if value >= 0 else ((0, -3), "top")
        axes.annotate(fixed(value), (day, value), shift, textcoords="offset points", ha="center", va=side, fontsize=8)
    axes.margins(y=0.2)


def _day_ticks(axes: Axes, days: pd.Series[pd.Timestamp]) -> None:
    """Set ticks that suit three days as well as two years, and limit the width of a bar to a fifth of the chart."""
    reach = (days.max() - days.min()).days
    beside = max(0.6, (5 - reach) / 2)
    axes.set_xlim(date2num(days.min()) - beside, date2num(days.max()) + beside)
    if reach < LABELLED_DAYS:
        axes.set_xticks(pd.date_range(days.min(), days.max()))
    else:
        axes.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=7))
    axes.xaxis.set_major_formatter(lambda day, _: dated_axis(num2date(day).date(), by_month=reach >= YEAR_SHOWN))
