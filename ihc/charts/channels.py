"""Charts of what the channels earned: how sure it is, where in a journey they work, and how far break-even is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from ihc.analysis.break_even import TOO_FEW
from ihc.analysis.reporting import MATERIAL
from ihc.arrays.types import Floats
from ihc.charts.engine import PHASE_COLOURS
from ihc.charts.palette import OTHER
from ihc.charts.style import AMOUNTS, BLUE, GREY, INK, LINEAR, ORANGE, PALE, WIDTH, chart, name_rows, power_scale, short
from ihc.glossary import heading

NAME_LIMIT = 22
ABOVE = 9  # points from the axes' top to the middle of the line above the first row
# On a coloured mark, which stays as it is where the page turns dark, a text must stay as it is too: none of the
# neutral colours, and each apart from the mark.
ON_PHASE = dict(zip(PHASE_COLOURS, ("#fdfdfd", "#010101", "#010101"), strict=True))
# Ticks of shares, as exact as they need be, and none beyond the whole.
UP_TO_ALL = FuncFormatter(lambda share, _: f"{100 * share:.6g}%" if share < 1.001 else "")
NONE = "–"  # in the place of a figure
NARROW = 0.065  # a share of a bar below this has no room for its figure


@chart
def cost_against_revenue(figure: Figure, summary: pd.DataFrame, currency: str = "currency") -> None:
    """Two bars a channel: what it cost and what it earned. In: `channel_name, cost, ihc_revenue [currency]`."""
    figure.set_size_inches(WIDTH, 1.2 + 0.4 * len(summary))
    axes = figure.add_subplot()
    places = np.asarray(name_rows(axes, summary["channel_name"]))
    for shift, column, colour, text in (
        (-0.2, "cost", ORANGE, "cost"),
        (0.2, "ihc_revenue", BLUE, "attributed revenue"),
    ):
        axes.barh(places + shift, summary[column], height=0.38, color=colour, label=text)
    if not summary[["cost", "ihc_revenue"]].any(axis=None):
        axes.set_xlim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.xaxis.set_major_formatter(AMOUNTS)
    axes.set_xlabel(currency)
    figure.legend(frameon=False, loc="outside upper center", ncols=2, fontsize=9)


@chart
def roas_intervals(figure: Figure, table: pd.DataFrame, colours: Mapping[str, str], roas: float = 1.0) -> None:
    """A row a channel: its ROAS as a dot on the line of its interval, against break-even; few orders are hollow.

    Channels with less than 1 % of the cost come last, as texts: a ROAS of thousands would set the scale of all others.
    In: `channel_name, cost [currency], ROAS, ROAS_low, ROAS_high [1], verdict` of channels that cost something;
    `colours` by channel; the break-even `roas [1]`.
    """
    share = table["cost"] / table["cost"].sum()
    is_drawn = share >= MATERIAL
    axes = _rows(figure, pd.concat([table[is_drawn], table[~is_drawn]]))
    small = zip(table.loc[~is_drawn, "ROAS"], share[~is_drawn], strict=True)
    table = table[is_drawn]
    _not_drawn(axes, len(table), [f"ROAS {_ratio(value)} ({_part(part)} of spend), not drawn" for value, part in small])
    is_thin = table["verdict"] == TOO_FEW
    _intervals(axes, table, "ROAS", colours, is_thin)
    axes.axvline(roas, color=INK, linewidth=1, linestyle="--", zorder=1)
    axes.margins(x=0.04)
    power_scale(axes.xaxis)
    _between_powers(axes)
    _above(axes, (roas, 1), f"break-even {roas:,.4g}", xycoords=axes.get_xaxis_transform(), ha="right", color=INK)
    figures = [_spanned(_ratio(value), _ratio(low), _ratio(high)) for value, low, high in _triples(table, "ROAS")]
    _column(axes, 100, "ROAS (interval)", figures, [GREY if thin else INK for thin in is_thin])
    if is_thin.any():
        _column(axes, 152, "", ["few orders" if thin else "" for thin in is_thin], [GREY] * len(table))
    axes.set_xlabel("ROAS [attributed revenue / cost]")


def _not_drawn(axes: Axes, first: int, texts: Iterable[str]) -> None:
    """Texts in the rows from `first` on, in the place of marks."""
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # over the lines of the axes
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9, "color": GREY}
    for place, text in enumerate(texts, start=first):
        axes.text(0.02, place, text, bbox=ground, **style)


@chart
def share_intervals(figure: Figure, table: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """A row a channel: its share of the credit as a dot on the line of its interval, its share of the cost a diamond.

    In: `channel_name, share_of_credit, share_of_credit_low, share_of_credit_high, share_of_cost [1]`; `colours` by
    channel.
    """
    axes = _rows(figure, table)
    places = range(len(table))
    # On top and empty, so that a dot in the same place is seen in it.
    axes.scatter(table["share_of_cost"], places, color="none", edgecolor=GREY, marker="D", s=44, zorder=5)
    _intervals(axes, table, "share_of_credit", colours, [False] * len(table))
    _from_zero(axes)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(UP_TO_ALL)
    figures = [
        _spanned(_percent(share), _percent(low).removesuffix("%"), _percent(high))
        for share, low, high in _triples(table, "share_of_credit")
    ]
    _column(axes, 100, "● credit (interval)", figures)
    _column(axes, 145, "◇ cost", [_percent(share) for share in table["share_of_cost"]], [GREY] * len(table))
    axes.set_xlabel("share of all channels")


@chart
def phases_by_channel(figure: Figure, table: pd.DataFrame) -> None:
    """A bar a channel, parted by where in the journeys it works, and the orders it earned.

    In: `channel_name, ihc [orders], initializer, holder, closer [1; NaN leaves no bar]`.
    """
    axes = _rows(figure, table, grid=False)
    start = np.zeros(len(table))
    for phase, side in zip(PHASE_COLOURS, ("left", "center", "right"), strict=True):
        share = table[phase].fillna(0.0).to_numpy("float64")
        _parts(axes, start, share, phase)
        start = start + share
        _chip(axes, side, phase)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(UP_TO_ALL)
    _column(axes, 46, "orders", [f"{orders:,.0f}" for orders in table["ihc"]])
    axes.set_xlabel("share of the channel's part in the three phases")


def _parts(axes: Axes, start: Floats, share: Floats, phase: str) -> None:
    """A phase's part of every bar, with its figure where there is room for it."""
    axes.barh(range(len(share)), share, left=start, color=PHASE_COLOURS[phase], height=0.74)
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "color": ON_PHASE[phase]}
    for place, (left, width) in enumerate(zip(start, share, strict=True)):
        if width >= NARROW:
            axes.text(left + width / 2, place, f"{width:.0%}", **style)


def _chip(axes: Axes, side: str, phase: str) -> None:
    """A phase's name on its colour, above the first bar."""
    box = {"facecolor": PHASE_COLOURS[phase], "edgecolor": "none", "pad": 2}
    place = {"left": 0.0, "center": 0.5, "right": 1.0}[side]
    _above(axes, (place, 1), heading(phase)[0], xycoords="axes fraction", ha=side, color=ON_PHASE[phase], bbox=box)


@chart
def room_to_break_even(figure: Figure, table: pd.DataFrame, currency: str = "currency") -> None:
    """A row a channel: a bar from its cost to where it breaks even, to the right as headroom, to the left as too much.

    In: `channel_name, cost, break_even_cost, headroom [currency]`.
    """
    axes = _rows(figure, table)
    places = range(len(table))
    colours = [BLUE if headroom >= 0 else ORANGE for headroom in table["headroom"]]
    axes.barh(places, table["headroom"], left=table["cost"], color=colours, height=0.5, zorder=2)
    axes.scatter(table["cost"], places, color=INK, marker="|", s=110, linewidth=2, zorder=3)
    _from_zero(axes)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
    axes.xaxis.set_major_formatter(AMOUNTS)
    _column(axes, 46, "| cost", [short(cost) for cost in table["cost"]])
    _column(axes, 112, "break-even", [short(cost) for cost in table["break_even_cost"]])
    axes.set_xlabel(f"cost [{currency}]; blue: headroom, orange: over break-even")


def _rows(figure: Figure, table: pd.DataFrame, *, grid: bool = True) -> Axes:
    """Axes with a row a channel, and a line above the first for what stands in them."""
    figure.set_size_inches(WIDTH, 1.3 + 0.28 * len(table))
    axes = figure.add_subplot()
    name_rows(axes, table["channel_name"], NAME_LIMIT)
    if grid:
        axes.grid(axis="x", color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
    return axes


def _from_zero(axes: Axes) -> None:
    """An axis of amounts with 0 on it, and a margin, also beyond the foot of a bar."""
    axes.use_sticky_edges = False
    axes.margins(x=0.04)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.04 * high), max(high, -0.04 * low))


def _intervals(
    axes: Axes, table: pd.DataFrame, name: str, colours: Mapping[str, str], is_hollow: Iterable[bool]
) -> None:
    """Dots on lines from `name_low` to `name_high`, in the channels' colours."""
    places = range(len(table))
    shades = [colours.get(channel, OTHER) for channel in table["channel_name"]]
    axes.hlines(places, table[f"{name}_low"], table[f"{name}_high"], color=shades, linewidth=2.2, zorder=3)
    inside = ["white" if hollow else shade for hollow, shade in zip(is_hollow, shades, strict=True)]
    axes.scatter(table[name], places, color=inside, edgecolor=shades, s=24, linewidth=1.4, zorder=4)


def _column(axes: Axes, right: float, head: str, texts: Sequence[str], colours: Sequence[str] = ()) -> None:
    """A column of texts beside the rows, that ends `right` points from the axes, where no mark can be in its way."""
    _above(axes, (1, 1), head, right=right, xycoords="axes fraction", ha="right", color=GREY)
    for place, (text, colour) in enumerate(zip(texts, colours or [INK] * len(texts), strict=True)):
        axes.annotate(
            text,
            (1, place),
            (right, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9,
            color=colour,
        )


def _above(axes: Axes, at: tuple[float, float], text: str, right: float = 0, **style: Any) -> None:
    """A text on the line above the first row."""
    axes.annotate(text, at, (right, ABOVE), textcoords="offset points", va="center", fontsize=8.5, **style)


def _triples(table: pd.DataFrame, name: str) -> Iterator[tuple[float, float, float]]:
    """A figure and the bounds of its interval, row by row."""
    return zip(table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True)


def _between_powers(axes: Axes) -> None:
    """Ticks between the powers of ten, and 0, where the axis spans few powers."""
    low, high = axes.get_xlim()
    span = high / max(low, LINEAR)
    if low >= -LINEAR and span < 200:
        steps = (1, 2, 5) if span < 30 else (1, 3)
        ticks = [step * power for power in (0.1, 1, 10, 100, 1_000, 10_000) for step in steps]
        axes.xaxis.set_major_locator(FixedLocator([0, *ticks]))


def _spanned(value: str, low: str, high: str) -> str:
    """A figure with its interval behind it, if it has one."""
    return value if NONE in (low, high) else f"{value} ({low}–{high})"


def _ratio(value: float) -> str:
    """A ratio in about three digits."""
    if not np.isfinite(value):
        return NONE
    return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def _part(share: float) -> str:
    """A share of less than 1 % that prints neither as 0 nor as 1 %."""
    return f"{min(share, 0.009):.1%}" if share >= 0.0005 else "<0.1%"


def _percent(share: float) -> str:
    if not np.isfinite(share):
        return NONE
    return f"{share:.0%}" if share == 0 or abs(share) >= 0.0995 else f"{share:.1%}"
