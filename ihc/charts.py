"""One function a chart: a finished table in, a matplotlib figure out. Charts compute nothing but positions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ihc.fonts import families
from ihc.narrative import brief_percent, shown

# Okabe and Ito's colours, told apart by colour-blind readers (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, SKY, GREY = "#0072B2", "#D55E00", "#56B4E9", "#767676"
INK, PALE = "#222222", "#dddddd"
ON_CELL = "#1c1c1c"  # text on a pale cell: unlike INK it stays dark where the page is dark
MOST_PANELS = 12
FAR = 0.5  # the difference between models from which on the colour stays the same
LINEAR = 0.1  # ROAS below which the scale of powers of ten is straight
WIDTH = 6.2  # inches; narrow, so that the text is still read on a phone
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # names are data: a $ in one is a $
    "svg.fonttype": "none",
    "svg.hashsalt": "ihc",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
}

P = ParamSpec("P")


def _amount(value: float, _place: int) -> str:
    """A tick of an axis of amounts or counts: 0.5, 1,000, 2.5 M."""
    value += 0.0  # a minus zero becomes a plain one
    return f"{value / 1e6:,.10g} M" if abs(value) >= 1e6 else f"{value:,.10g}"


AMOUNTS = FuncFormatter(_amount)


@contextmanager
def styled(texts: Iterable[str] = ()) -> Iterator[None]:
    """The look of all charts, for drawing and for saving them, with fonts for the letters of `texts`."""
    with mpl.rc_context(STYLE | {"font.family": families(texts)}), warnings.catch_warnings():
        # Said once, by `letters_sentence`.
        warnings.filterwarnings("ignore", "(?s)Glyph .* missing from font|Matplotlib currently does not support")
        yield


def chart(
    draw: Callable[Concatenate[Figure, pd.DataFrame, P], None],
) -> Callable[Concatenate[pd.DataFrame, P], Figure]:
    """Give a drawing function an empty styled figure, and say so where the table has no rows."""

    @wraps(draw)
    def drawn(frame: pd.DataFrame, *args: P.args, **kwargs: P.kwargs) -> Figure:
        with styled(_texts(frame, *args, *kwargs.values())):
            figure = Figure(figsize=(WIDTH, 4))
            if frame.empty:
                figure.set_size_inches(WIDTH, 1.2)
                figure.text(0.5, 0.5, "Nothing to show for these dates.", ha="center", va="center", color=GREY)
            else:
                draw(figure, frame, *args, **kwargs)
        return figure

    return cast("Callable[Concatenate[pd.DataFrame, P], Figure]", drawn)


def _texts(frame: pd.DataFrame, *others: object) -> set[str]:
    """What a chart may write: the frame's names and texts, and others that are texts."""
    columns = frame.select_dtypes(exclude=["number", "bool"])
    texts = {str(value) for name in columns for value in columns[name].unique()}
    return {*map(str, frame.columns), *texts, *(other for other in others if isinstance(other, str))}


def name_rows(axes: Axes, names: pd.Series[str], limit: int = 26) -> range:
    """Rows with the channels' names, each cut to `limit` characters, the first on top."""
    places = range(len(names))
    axes.set_yticks(places, labels=[shown(name, limit) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    return places


def power_scale(axis: XAxis | YAxis) -> None:
    """Powers of ten, but straight below LINEAR, so that 0 has a place: ROAS spans 0.05 and 1,000 in one shop."""
    set_scale = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    set_scale("symlog", linthresh=LINEAR, linscale=0.5)
    axis.set_major_locator(FixedLocator([-100, -10, -1, 0, 0.1, 1, 10, 100, 1_000, 10_000, 100_000]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


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
def orders_by_class(figure: Figure, classes: pd.DataFrame, column: str, label: str) -> None:
    """Bars of how many orders fall in each class. In: `column` [class], `orders [count]`, `share [1]`."""
    figure.set_size_inches(WIDTH, 1.1 + 0.3 * len(classes))
    axes = figure.add_subplot()
    places = name_rows(axes, classes[column])
    axes.barh(places, classes["orders"], color=BLUE, height=0.75)
    for place, orders, share in zip(places, classes["orders"], classes["share"], strict=True):
        text = f"{orders:,} ({brief_percent(share)})" if orders else "0"
        axes.annotate(text, (orders, place), (4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.margins(x=0.2)
    axes.set_ylabel(label)
    axes.set_xlabel("orders")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(AMOUNTS)


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


def short(value: float) -> str:
    """An amount in four characters or so: 950, 28.1k, 1.2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:,.1f}{letter}"
    return f"{value:.0f}"


def _percent(share: float) -> str:
    if not np.isfinite(share):
        return "–"
    text = f"{100 * share:+.0f}"
    return "0" if text in ("+0", "-0") else text if abs(share) < 10 else f"{'>+' if share > 0 else '<-'}999"
