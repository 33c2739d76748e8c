"""Building blocks of charts: rows, cells, stacked bars, intervals, axes and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, NullLocator

from ihc.arrays.types import Floats
from ihc.charts.palette import OTHER
from ihc.charts.style import GREY, INK, PALE, WIDTH
from ihc.formatting import fixed, general, percent_of, percentage, shown

NARROW = 22  # maximum characters of a name in narrow charts
ROW = 0.28  # row height [inches]
ABOVE = 9  # distance from the top of the axes to the line above the first row [points]
LINE = 0.17  # line height of small text [inches]
AROUND = 0.9  # height of a figure outside the axes [inches]
LINEAR = 0.1  # the log scale is linear below this ROAS
UNKNOWN = "–"  # shown for unknown figures
Label = tuple[float, str, str]  # position on the y axis, text, colour


def _amount(value: float, _place: int) -> str:
    """Format a tick of amounts or counts: 0.5, 1,000, 2.5 M."""
    value += 0.0  # turns -0.0 into 0.0
    return f"{general(value / 1e6)} M" if abs(value) >= 1e6 else general(value)


AMOUNTS = FuncFormatter(_amount)
# Ticks of shares with as many digits as needed. None beyond 100%, where the axis only has space for labels.
UP_TO_ALL = FuncFormatter(lambda share, _: percent_of(general(100 * share, 6)) if share < 1.001 else "")
SHARES = FuncFormatter(lambda share, _: percentage(share))


def row_axes(figure: Figure, names: pd.Series[str], *, limit: int = 26, head: float = 1.3, grid: bool = False) -> Axes:
    """Create axes with one row per name. `head`: height above and below the rows [inches]."""
    figure.set_size_inches(WIDTH, head + ROW * len(names))
    axes = figure.add_subplot()
    name_rows(axes, names, limit)
    if grid:
        axes.grid(axis="x", color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
    return axes


def name_rows(axes: Axes, names: pd.Series[str], limit: int = 26) -> None:
    """Label the rows with names, cut to `limit` characters, the first on top."""
    axes.set_yticks(range(len(names)), labels=[shown(name, limit) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def name_columns(axes: Axes, names: Sequence[str], rotation: float) -> None:
    """Write rotated names above the columns of a heat map, and hide its frame."""
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(names)), labels=names)
    axes.tick_params(axis="x", length=0, labelsize=9, rotation=rotation, pad=2)
    for label in axes.get_xticklabels():
        label.set(horizontalalignment="left", rotation_mode="anchor")
    axes.spines[:].set_visible(False)


def legend_above(figure: Figure, columns: int = 2, **style: Any) -> None:
    """Add a legend above the axes, across the whole width."""
    figure.legend(frameon=False, loc="outside upper center", ncols=columns, fontsize=9, **style)


def tell(artist: Artist, texts: Sequence[str]) -> None:
    """Attach a tooltip to each mark of an artist; the page shows it on hover."""
    artist.told = list(texts)  # type: ignore[attr-defined]


def write_in(axes: Axes, x: float, row: float, text: str, colour: str | None = None, **style: Any) -> None:
    """Write small text in the middle of a cell or bar segment. The layout skips it, as it lies inside the axes."""
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "color": colour, "in_layout": False}
    axes.text(x, row, text, **look | style)


def write_beside(
    axes: Axes, x: float, row: float, text: str, *, gap: float = 5, left: bool = False, **style: Any
) -> None:
    """Write text `gap` points to the right or left of a point in a row."""
    axes.annotate(
        text,
        (x, row),
        (-gap if left else gap, 0),
        textcoords="offset points",
        va="center",
        ha="right" if left else "left",
        fontsize=9,
        **style,
    )


def label_ends(axes: Axes, ends: Iterable[float], texts: Iterable[str], gap: float = 4) -> None:
    """Write text to the right of each row's bar."""
    for row, (end, text) in enumerate(zip(ends, texts, strict=True)):
        write_beside(axes, end, row, text, gap=gap)


def amount_axis(axis: XAxis | YAxis, most: int) -> None:
    """Set ticks of amounts or counts, with at most `most` intervals."""
    axis.set_major_locator(MaxNLocator(nbins=most))
    axis.set_major_formatter(AMOUNTS)


def whole_axis(axes: Axes, end: float) -> None:
    """Set an axis of shares from 0 to 100%, with space for labels up to `end`."""
    axes.set_xlim(0, end)
    axes.set_xticks(np.linspace(0, 1, 5))
    axes.xaxis.set_major_formatter(SHARES)


def stack_parts(axes: Axes, parts: pd.DataFrame, looks: Sequence[Mapping[str, Any]], **style: Any) -> list[Floats]:
    """Draw one stacked bar per row, with one style per column. Out: where the segments of each column start."""
    start, starts = np.zeros(len(parts)), []
    for name, look in zip(parts.columns, looks, strict=True):
        part = parts[name].fillna(0.0).to_numpy("float64")
        axes.barh(range(len(parts)), part, left=start, **style, **look)
        starts.append(start)
        start = start + part
    return starts


def from_zero(axes: Axes) -> None:
    """Let the x axis include 0, with a margin on both sides."""
    axes.use_sticky_edges = False
    axes.margins(x=0.04)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.04 * high), max(high, -0.04 * low))


def intervals(
    axes: Axes, table: pd.DataFrame, name: str, colours: Mapping[str, str], is_hollow: Iterable[bool]
) -> None:
    """Draw dots on lines from `<name>_low` to `<name>_high`, in the channels' colours."""
    rows = range(len(table))
    shades = [colours.get(channel, OTHER) for channel in table["channel_name"]]
    axes.hlines(rows, table[f"{name}_low"], table[f"{name}_high"], color=shades, linewidth=2.2, zorder=3)
    inside = ["white" if hollow else shade for hollow, shade in zip(is_hollow, shades, strict=True)]
    axes.scatter(table[name], rows, color=inside, edgecolor=shades, s=24, linewidth=1.4, zorder=4)


def with_bounds(table: pd.DataFrame, name: str, write: Callable[[float], str]) -> list[str]:
    """Format figures with their interval in brackets, if there is one."""
    figures = [[write(value) for value in table[column]] for column in (name, f"{name}_low", f"{name}_high")]
    return [
        value
        if UNKNOWN in (low, high)
        else f"{value} ({low.removesuffix('%')}{' to ' if low[0] == '-' else '–'}{high})"
        for value, low, high in zip(*figures, strict=True)
    ]


def text_column(
    axes: Axes, right: float, head: str, texts: Sequence[str], colours: Iterable[str] | None = None
) -> None:
    """Write a column of text next to the rows, right-aligned `right` points from the axes."""
    write_above(axes, (1, 1), head, right=right, xycoords="axes fraction", ha="right", color=GREY)
    for row, (text, colour) in enumerate(zip(texts, colours or [INK] * len(texts), strict=True)):
        axes.annotate(
            text,
            (1, row),
            (right, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9,
            color=colour,
        )


def write_above(axes: Axes, at: tuple[float, float], text: str, right: float = 0, **style: Any) -> None:
    """Write text on the line above the first row."""
    axes.annotate(text, at, (right, ABOVE), textcoords="offset points", va="center", fontsize=8.5, **style)


def label_series(figure: Figure, axes: Axes, right: float, labels: Sequence[Label]) -> None:
    """Label lines or bar segments to the right of the axes, without overlaps."""
    low, high = axes.get_ylim()
    gap = LINE / (figure.get_size_inches()[1] - AROUND)
    order = sorted(labels)
    places = _apart([float(np.nan_to_num((value - low) / (high - low))) for value, _, _ in order], gap)
    for (value, text, colour), place in zip(order, places, strict=True):
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (right, value), (1.05, place), "data", "axes fraction", arrowprops=line)
        axes.plot(1.06, place, "s", color=colour, markersize=5, transform=axes.transAxes, clip_on=False)
        axes.text(1.085, place, text, transform=axes.transAxes, va="center", fontsize=8)


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending positions so that they are at least `gap` apart and not above 1."""
    moved = list(places)
    for number in range(1, len(moved)):
        moved[number] = max(moved[number], moved[number - 1] + gap)
    ceiling = 1.0
    for number in reversed(range(len(moved))):
        moved[number] = min(moved[number], ceiling)
        ceiling = moved[number] - gap
    return moved


class _InView(Locator):
    """Ticks at fixed places, only those inside the axes. With `FixedLocator`, the others would be created too."""

    def __init__(self, places: Sequence[float]) -> None:
        self._places = np.asarray(places, dtype="float64")

    def __call__(self) -> Any:
        axis: Any = self.axis
        return self.tick_values(*axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Any:
        low, high = sorted((vmin, vmax))
        return self._places[(low <= self._places) & (self._places <= high)]


def power_scale(axis: XAxis | YAxis) -> None:
    """Set a log scale that is linear below LINEAR to include 0: ROAS can span 0.05 to 1,000 in one shop."""
    set_scale = axis.axes.set_xscale if isinstance(axis, XAxis) else axis.axes.set_yscale
    set_scale("symlog", linthresh=LINEAR, linscale=0.5)
    axis.set_major_locator(_InView([-100, -10, -1, 0, 0.1, 1, 10, 100, 1_000, 10_000, 100_000]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: general(value)))


def roas_scale(axes: Axes, roas: float) -> None:
    """Set the power scale of ROAS with break-even; if it spans few powers of ten, with ticks between them and at 0."""
    axes.axvline(roas, color=INK, linewidth=1, linestyle="--", zorder=1)
    axes.margins(x=0.04)
    power_scale(axes.xaxis)
    low, high = axes.get_xlim()
    span = high / max(low, LINEAR)
    if low >= -LINEAR and span < 200:
        steps = (1, 2, 5) if span < 30 else (1, 3)
        ticks = [step * power for power in (0.1, 1, 10, 100, 1_000, 10_000) for step in steps]
        axes.xaxis.set_major_locator(_InView([0, *ticks]))


def short(value: float) -> str:
    """Format an amount in about four characters: 950, 28.1k, 1.2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{fixed(value / size, 1)}{letter}"
    return fixed(value)
