"""Charts of ROAS and headroom to break-even."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, SymmetricalLogLocator

from ihc.analysis.break_even import ABOVE, BELOW, TOO_FEW
from ihc.analysis.reporting import MATERIAL
from ihc.charts import marks
from ihc.charts.style import BLUE, GREY, INK, ORANGE, chart
from ihc.formatting import fixed, general, percentage


@chart
def roas_by_channel_chart(figure: Figure, table: pd.DataFrame, colours: Mapping[str, str], roas: float = 1.0) -> None:
    """One row per channel: ROAS as a dot on its confidence interval, with break-even. Few orders: hollow dot.

    Channels with less than 1% of spend come last, as text, because a ROAS of several thousand would distort the scale.
    In: `channel_name, cost [currency], ROAS, ROAS_low, ROAS_high [1], verdict` of channels with spend; `colours` by
    channel; the break-even `roas [1]`.
    """
    share = table["cost"] / table["cost"].sum()
    is_drawn = share >= MATERIAL
    axes = marks.row_axes(
        figure, pd.concat([table[is_drawn], table[~is_drawn]])["channel_name"], limit=marks.NARROW, grid=True
    )
    small = zip(table.loc[~is_drawn, "ROAS"], share[~is_drawn], strict=True)
    table = table[is_drawn]
    _not_drawn(axes, len(table), [f"ROAS {_ratio(value)} ({_part(part)} of spend), not drawn" for value, part in small])
    is_thin = table["verdict"] == TOO_FEW
    marks.intervals(axes, table, "ROAS", colours, is_thin)
    marks.roas_scale(axes, roas)
    marks.write_above(
        axes, (roas, 1), f"break-even {general(roas, 4)}", xycoords=axes.get_xaxis_transform(), ha="right", color=INK
    )
    marks.text_column(
        axes, 100, "ROAS (interval)", marks.with_bounds(table, "ROAS", _ratio), np.where(is_thin, GREY, INK).tolist()
    )
    if is_thin.any():
        marks.text_column(axes, 152, "", np.where(is_thin, "few orders", "").tolist(), [GREY] * len(table))
    axes.set_xlabel("ROAS [attributed revenue / spend]")


def _not_drawn(axes: Axes, first: int, texts: Iterable[str]) -> None:
    """Write texts instead of marks, in the rows from `first` on."""
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # covers the grid lines
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9, "color": GREY}
    for row, text in enumerate(texts, start=first):
        axes.text(0.02, row, text, bbox=ground, **style)


def _ratio(value: float) -> str:
    """Format a ratio with about three digits."""
    if not np.isfinite(value):
        return marks.UNKNOWN
    return fixed(value, 2) if abs(value) < 10 else fixed(value, 1) if abs(value) < 100 else fixed(value)


def _part(share: float) -> str:
    """Format a share below 1% so that it rounds neither to 0% nor to 1%."""
    return percentage(min(share, 0.009), 1) if share >= 0.0005 else f"<{percentage(0.001, 1)}"


@chart
def calibrated_roas_chart(figure: Figure, table: pd.DataFrame, roas: float = 1.0) -> None:
    """One row per channel: attributed ROAS as a diamond, iROAS as a dot on its interval. No experiment: hollow dot.

    Blue: above break-even, orange: below, grey: inconclusive. In: `calibrate`, channels with spend, and the break-even
    `roas [1]`.
    """
    rows = table.sort_values("iROAS", ascending=False, kind="stable")
    axes = marks.row_axes(figure, rows["channel_name"], limit=marks.NARROW, grid=True)
    shades = [{ABOVE: BLUE, BELOW: ORANGE}.get(verdict, GREY) for verdict in rows["verdict"]]
    inside = np.where(rows["experiments"] > 0, shades, "white").tolist()
    places = range(len(rows))
    axes.hlines(places, rows["iROAS_low"], rows["iROAS_high"], color=shades, linewidth=2.2, zorder=3)
    axes.scatter(rows["iROAS"], places, color=inside, edgecolor=shades, s=30, linewidth=1.4, zorder=4)
    axes.scatter(rows["ROAS"], places, color="white", edgecolor=INK, marker="D", s=24, linewidth=1.2, zorder=5)
    axes.axvline(roas, color=INK, linewidth=1, linestyle="--", zorder=1)
    axes.set_xscale("symlog", linthresh=roas, linscale=1)
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=roas, subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: general(value, 2)))
    marks.text_column(axes, 116, "iROAS (interval)", marks.with_bounds(rows, "iROAS", _ratio), shades)
    even = f"dashed: break-even {general(roas, 4)}, log scale beyond"
    axes.set_xlabel(f"◇ attributed ROAS, ● iROAS, ○ without an experiment\n{even}", fontsize=9)


@chart
def room_to_break_even_chart(figure: Figure, table: pd.DataFrame, currency: str = "currency") -> None:
    """One row per channel: a bar from spend to break-even spend, to the right for headroom, to the left for excess.

    In: `channel_name, cost, break_even_cost, headroom [currency]`.
    """
    axes = marks.row_axes(figure, table["channel_name"], limit=marks.NARROW, grid=True)
    rows = range(len(table))
    colours = [BLUE if headroom >= 0 else ORANGE for headroom in table["headroom"]]
    axes.barh(rows, table["headroom"], left=table["cost"], color=colours, height=0.5, zorder=2)
    axes.scatter(table["cost"], rows, color=INK, marker="|", s=110, linewidth=2, zorder=3)
    marks.from_zero(axes)
    marks.amount_axis(axes.xaxis, 3)
    marks.text_column(axes, 46, "| spend", [marks.short(cost) for cost in table["cost"]])
    marks.text_column(axes, 112, "break-even", [marks.short(cost) for cost in table["break_even_cost"]])
    axes.set_xlabel(f"spend [{currency}]; blue: headroom, orange: over break-even spend")
