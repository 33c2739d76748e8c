"""Charts of the journeys' paths: the commonest, where in them channels stand, and what follows what."""

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
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ihc.analysis.paths import channels_of
from ihc.charts.completeness import label_ends
from ihc.charts.palette import OTHER
from ihc.charts.style import AMOUNTS, BLUE, GREY, INK, ORANGE, PALE, WIDTH, chart, name_rows
from ihc.formatting import brief_percent, shown

# A channel's roles from the beginning of a journey to its end, and the colour of the text upon each.
ROLES = {
    "starts": ("begins", BLUE, "white"),
    "starts_and_ends": ("begins and ends", "#7B5EA7", "white"),
    "assists": ("between", GREY, "white"),
    "ends": ("ends", ORANGE, "white"),
    "alone": ("alone", PALE, INK),
}
LEGIBLE = 0.075  # a share from which on a part of a bar has room for its figure
MOST_CELLS = 5  # of a path; longer ones leave out their middle
WIDE_CELLS = 2  # up to so many, a name has one line
CELLS_WIDTH = 4.3  # inches
CHARACTERS = 14  # of a cell's text, an inch


@chart
def conversions_by_class(figure: Figure, classes: pd.DataFrame, column: str, label: str) -> None:
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
def roles_by_channel(figure: Figure, roles: pd.DataFrame) -> None:
    """A bar a channel of all orders that have it, parted by where in their journeys it stands.

    In: `channel_roles`: `channel_name, orders`, and `share_starts` to `share_alone [1]`.
    """
    figure.set_size_inches(WIDTH, 1.3 + 0.28 * len(roles))
    axes = figure.add_subplot()
    places = name_rows(axes, roles["channel_name"])
    start = np.zeros(len(roles))
    for name, (label, colour, ink) in ROLES.items():
        part = roles[f"share_{name}"].to_numpy()
        axes.barh(places, part, left=start, color=colour, height=0.78, edgecolor="white", linewidth=0.5, label=label)
        for place, (share, left) in enumerate(zip(part, start, strict=True)):
            if share >= LEGIBLE:
                axes.text(left + share / 2, place, f"{share:.0%}", ha="center", va="center", fontsize=8, color=ink)
        start = start + part
    label_ends(axes, np.ones(len(roles)), [f"{orders:,}" for orders in roles["orders"]])
    axes.set_xlim(0, 1.16)
    axes.set_xticks(np.linspace(0, 1, 5))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("share of the channel's orders, and how many")
    figure.legend(frameon=False, loc="outside upper center", ncols=len(ROLES), fontsize=9, handlelength=1)


@chart
def transitions(figure: Figure, matrix: pd.DataFrame) -> None:
    """A row a state, a column a state that follows: what share of the moves from there goes there; empty is none.

    In: `transition_matrix`: `from, to, count [moves], share [1]`, a row a cell, row by row of the matrix.
    """
    size = isqrt(len(matrix))
    share, count = (matrix[name].to_numpy().reshape(size, size) for name in ("share", "count"))
    figure.set_size_inches(WIDTH, 2.2 + 0.3 * size)
    axes = figure.add_subplot()
    name_rows(axes, matrix["from"].iloc[::size], 22)
    # Transparent rather than pale, so that the page may be dark; by the root, so that small shares are seen too.
    depth = 0.9 * np.sqrt(share)
    tint = np.dstack([np.broadcast_to(to_rgba(BLUE)[:3], (size, size, 3)), depth])
    edges = np.arange(size + 1) - 0.5
    axes.pcolormesh(edges, edges, tint, edgecolor="none")
    for place, column in np.argwhere(count > 0).tolist():
        colour = "white" if depth[place, column] > 0.65 else INK
        text = brief_percent(share[place, column]).removesuffix("%")
        axes.text(column, place, text, ha="center", va="center", fontsize=8, color=colour)
    for place, moves in enumerate(count.sum(axis=1)):
        axes.text(size - 0.3, place, f"{moves:,}", ha="left", va="center", fontsize=8, color=GREY)
    _columns(axes, [*(shown(name, 19) for name in matrix["to"].iloc[:size]), "moves"])


def _columns(axes: Axes, names: list[str]) -> None:
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(names)), labels=names)
    axes.tick_params(axis="x", length=0, labelsize=9, rotation=50, pad=2)
    for label in axes.get_xticklabels():
        label.set(horizontalalignment="left", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(names) - 0.1)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="y", labelsize=9)
    axes.set_ylabel("from")
    axes.set_xlabel("% of the moves from a row that go to a column")


@chart
def commonest_paths_chart(figure: Figure, paths: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """A row a path: its channels from left to right, each underlined in its colour, and how many orders took it.

    In: `commonest_paths`: `path, orders, share [1]`; `colours` as `channel_colours` gives them to all channels.
    """
    ways = [channels_of(path, colours) for path in paths["path"]]
    cells = min(max(map(len, ways)), MOST_CELLS)
    figure.set_size_inches(WIDTH, 0.7 + (0.36 if cells <= WIDE_CELLS else 0.46) * len(paths))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(CELLS_WIDTH, WIDTH - CELLS_WIDTH))
    places = name_rows(right, paths["path"])
    left.set_xlim(0, cells)
    left.set_axis_off()
    for place, way in zip(places, ways, strict=True):
        _way(left, place, way, colours)
    right.barh(places, paths["orders"], color=BLUE, height=0.6)
    texts = [
        f"{orders:,} ({brief_percent(part)})" for orders, part in zip(paths["orders"], paths["share"], strict=True)
    ]
    label_ends(right, paths["orders"], texts)
    right.tick_params(labelleft=False)
    right.margins(x=0.9)
    right.set_xticks([])
    right.spines.bottom.set_visible(False)
    right.set_xlabel("orders", loc="left")


def _way(axes: Axes, place: int, way: list[str], colours: Mapping[str, str]) -> None:
    """The cells of a path, of one width in all rows; a long one shows its first channels and its last."""
    cells = round(axes.get_xlim()[1])
    limit, height = int(CELLS_WIDTH / cells * CHARACTERS), 1 if cells <= WIDE_CELLS else 2
    is_cut = len(way) > cells
    for number, name in enumerate([*way[: cells - 2], "", way[-1]] if is_cut else way):
        if is_cut and number == cells - 2:
            axes.text(number, place, f"… {len(way) - cells + 1:,} more", va="center", fontsize=8, color=GREY)
            continue
        lines = wrap(shown(name, height * limit), limit, max_lines=height, placeholder="…")
        label = axes.text(number, place - 0.06, "\n".join(lines), va="center", fontsize=8, color=INK, clip_on=True)
        # Whatever its letters, a name stays in its cell.
        label.set_clip_path(Rectangle((number, place - 1), 0.95, 2, transform=axes.transData))
        axes.hlines(place + 0.34, number, number + 0.95, color=colours.get(name, OTHER), linewidth=4)
