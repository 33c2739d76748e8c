"""Charts of paths: most common paths, channel roles, transitions and distributions."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from ihc.analysis.paths import channels_of
from ihc.charts import marks
from ihc.charts.palette import OTHER
from ihc.charts.style import BLUE, GREY, INK, ORANGE, PALE, WIDTH, chart
from ihc.formatting import brief_percent, fixed, percentage, shown

# Roles of a channel in a journey: label, colour and text colour.
ROLES = {
    "starts": ("first", BLUE, "white"),
    "starts_and_ends": ("first and last", "#7B5EA7", "white"),
    "assists": ("assist", GREY, "white"),
    "ends": ("last", ORANGE, "white"),
    "alone": ("only channel", PALE, INK),
}
LEGIBLE = 0.075  # minimum share of a bar with space for its figure
MOST_CELLS = 5  # maximum cells of a path; the middle of longer paths is left out
WIDE_CELLS = 2  # with up to this many cells, a name has one line
CELLS_WIDTH = 4.3  # inches
CHARACTERS = 14  # characters per inch in a cell


@chart
def conversions_by_class_chart(figure: Figure, classes: pd.DataFrame, column: str, label: str) -> None:
    """One bar per class: its number of orders. In: `column` [class], `orders [count]`, `share [1]`."""
    figure.set_size_inches(WIDTH, 1.1 + 0.3 * len(classes))
    axes = figure.add_subplot()
    marks.name_rows(axes, classes[column])
    axes.barh(range(len(classes)), classes["orders"], color=BLUE, height=0.75)
    marks.label_ends(axes, classes["orders"], _counts(classes))
    axes.margins(x=0.2)
    axes.set_ylabel(label)
    axes.set_xlabel("orders")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(marks.AMOUNTS)


def _counts(frame: pd.DataFrame) -> list[str]:
    """Format `orders` with their `share` of all."""
    rows = zip(frame["orders"], frame["share"], strict=True)
    return [f"{fixed(orders)} ({brief_percent(share)})" if orders else "0" for orders, share in rows]


@chart
def channel_roles_chart(figure: Figure, roles: pd.DataFrame) -> None:
    """One bar per channel: its influenced orders by role.

    In: `channel_roles`: `channel_name, orders`, and `share_starts` to `share_alone [1]`.
    """
    axes = marks.row_axes(figure, roles["channel_name"])
    parts = roles[[f"share_{name}" for name in ROLES]]
    looks = [{"label": label, "color": colour} for label, colour, _ in ROLES.values()]
    starts = marks.stack_parts(axes, parts, looks, height=0.78, edgecolor="white", linewidth=0.5)
    for column, start, (_, _, ink) in zip(parts, starts, ROLES.values(), strict=True):
        for row, (share, left) in enumerate(zip(parts[column], start, strict=True)):
            if share >= LEGIBLE:
                marks.write_in(axes, left + share / 2, row, percentage(share), ink)
    marks.label_ends(axes, np.ones(len(roles)), [fixed(orders) for orders in roles["orders"]])
    marks.whole_axis(axes, 1.16)
    axes.set_xlabel("share and number of the channel's orders")
    marks.legend_above(figure, len(ROLES), handlelength=1)


@chart
def transitions_chart(figure: Figure, matrix: pd.DataFrame) -> None:
    """Heat map with one row per state and one column per next state: share of transitions. Empty: none.

    In: `transition_matrix`: `from, to, count [transitions], share [1]`, one row per cell, in row order.
    """
    size = isqrt(len(matrix))
    share, count = (matrix[name].to_numpy().reshape(size, size) for name in ("share", "count"))
    figure.set_size_inches(WIDTH, 2.2 + 0.3 * size)
    axes = figure.add_subplot()
    marks.name_rows(axes, matrix["from"].iloc[::size], marks.NARROW)
    # Transparency works on a dark page too. The square root makes small shares visible.
    depth = 0.9 * np.sqrt(share)
    tint = np.dstack([np.broadcast_to(to_rgba(BLUE)[:3], (size, size, 3)), depth])
    edges = np.arange(size + 1) - 0.5
    axes.pcolormesh(edges, edges, tint, edgecolor="none")
    for row, column in np.argwhere(count > 0).tolist():
        text = brief_percent(share[row, column]).removesuffix("%")
        marks.write_in(axes, column, row, text, "white" if depth[row, column] > 0.65 else INK)
    for row, moves in enumerate(count.sum(axis=1)):
        marks.write_in(axes, size - 0.3, row, fixed(moves), GREY, ha="left", in_layout=True)  # may be wide
    marks.name_columns(axes, [*(shown(name, 19) for name in matrix["to"].iloc[:size]), "total"], 50)
    axes.set_xlim(-0.5, size + 0.9)
    axes.tick_params(axis="y", labelsize=9)
    axes.set_ylabel("from")
    axes.set_xlabel("% of the row's transitions")


@chart
def commonest_paths_chart(figure: Figure, paths: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """One row per path: its channels from left to right, underlined in their colours, and its number of orders.

    In: `commonest_paths`: `path, orders, share [1]`; `colours` as `channel_colours` gives them to all channels.
    """
    ways = [channels_of(path, colours) for path in paths["path"]]
    cells = min(max(map(len, ways)), MOST_CELLS)
    figure.set_size_inches(WIDTH, 0.7 + (0.36 if cells <= WIDE_CELLS else 0.46) * len(paths))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(CELLS_WIDTH, WIDTH - CELLS_WIDTH))
    marks.name_rows(right, paths["path"])
    left.set_xlim(0, cells)
    left.set_axis_off()
    for row, way in enumerate(ways):
        _way(left, row, way, colours)
    right.barh(range(len(paths)), paths["orders"], color=BLUE, height=0.6)
    marks.label_ends(right, paths["orders"], _counts(paths))
    right.tick_params(labelleft=False)
    right.margins(x=0.9)
    right.set_xticks([])
    right.spines.bottom.set_visible(False)
    right.set_xlabel("orders", loc="left")


def _way(axes: Axes, row: int, way: list[str], colours: Mapping[str, str]) -> None:
    """Draw the cells of a path. A long path shows its first channels and its last."""
    cells = round(axes.get_xlim()[1])
    limit, height = int(CELLS_WIDTH / cells * CHARACTERS), 1 if cells <= WIDE_CELLS else 2
    is_cut = len(way) > cells
    for number, name in enumerate([*way[: cells - 2], "", way[-1]] if is_cut else way):
        if is_cut and number == cells - 2:
            marks.write_in(axes, number, row, f"… {fixed(len(way) - cells + 1)} more", GREY, ha="left")
            continue
        lines = wrap(shown(name, height * limit), limit, max_lines=height, placeholder="…")
        label = axes.text(number, row - 0.06, "\n".join(lines), va="center", fontsize=8, color=INK, clip_on=True)
        # Clip long names to their cell.
        label.set_clip_path(Rectangle((number, row - 1), 0.95, 2, transform=axes.transData))
        axes.hlines(row + 0.34, number, number + 0.95, color=colours.get(name, OTHER), linewidth=4)
