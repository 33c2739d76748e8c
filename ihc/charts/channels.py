"""Charts of channels: spend and revenue, phases, weights, scores and distribution of credit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ihc.charts import marks
from ihc.charts.style import BLUE, GREY, INK, ORANGE, PALE, PHASE_COLOURS, SKY, WIDTH, chart
from ihc.formatting import fixed, general, percentage
from ihc.glossary import FORMATS, heading
from ihc.schemas.tables import PHASES

# Text colours on coloured marks. Marks keep their colour on a dark page, so their text must too: no neutral colours.
ON_PHASE = dict(zip(PHASES, ("#fdfdfd", "#010101", "#010101"), strict=True))
BAR_COLOURS, MOST_BARS = (BLUE, ORANGE, SKY, GREY), 20  # of `bars_chart`
LEGIBLE = 0.065  # minimum share of a bar with space for its figure
# From no credit to all credit. The darkest shade is still visible on a dark page.
SHADES = (PALE, "#d9e7f5", "#abd0e8", "#74b2dc", "#428dc9", "#1f63ad")


@chart
def cost_against_revenue_chart(figure: Figure, summary: pd.DataFrame, currency: str = "currency") -> None:
    """Two bars per channel: spend and attributed revenue. In: `channel_name, cost, ihc_revenue [currency]`."""
    figure.set_size_inches(WIDTH, 1.2 + 0.4 * len(summary))
    axes = figure.add_subplot()
    marks.name_rows(axes, summary["channel_name"])
    rows = np.arange(len(summary))
    axes.barh(rows - 0.2, summary["cost"], height=0.38, color=ORANGE, label="spend")
    axes.barh(rows + 0.2, summary["ihc_revenue"], height=0.38, color=BLUE, label="attributed revenue")
    if not summary[["cost", "ihc_revenue"]].any(axis=None):
        axes.set_xlim(0, 1)
    marks.amount_axis(axes.xaxis, 6)
    axes.set_xlabel(currency)
    marks.legend_above(figure)


@chart
def credit_against_cost_chart(figure: Figure, table: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """One row per channel: share of credit as a dot on its confidence interval, share of spend as a diamond.

    In: `channel_name, share_of_credit, share_of_credit_low, share_of_credit_high, share_of_cost [1]`; `colours` by
    channel.
    """
    axes = marks.row_axes(figure, table["channel_name"], limit=marks.NARROW, grid=True)
    # Empty and on top, so that a dot in the same place stays visible.
    axes.scatter(table["share_of_cost"], range(len(table)), color="none", edgecolor=GREY, marker="D", s=44, zorder=5)
    marks.intervals(axes, table, "share_of_credit", colours, [False] * len(table))
    marks.from_zero(axes)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(marks.UP_TO_ALL)
    marks.text_column(axes, 100, "● credit (interval)", marks.with_bounds(table, "share_of_credit", _percent))
    marks.text_column(axes, 145, "◇ spend", [_percent(share) for share in table["share_of_cost"]], [GREY] * len(table))
    axes.set_xlabel("share of all channels")


def _percent(share: float) -> str:
    if not np.isfinite(share):
        return marks.UNKNOWN
    return percentage(share) if share == 0 or abs(share) >= 0.0995 else percentage(share, 1)


@chart
def phases_by_channel_chart(figure: Figure, table: pd.DataFrame) -> None:
    """One bar per channel with its credit by phase, and its attributed orders.

    In: `channel_name, ihc [orders], initializer, holder, closer [1; NaN: no bar]`.
    """
    axes = marks.row_axes(figure, table["channel_name"], limit=marks.NARROW)
    parts = table[list(PHASES)].fillna(0.0)
    starts = marks.stack_parts(axes, parts, [{"color": PHASE_COLOURS[phase]} for phase in PHASES], height=0.74)
    for phase, start, place, side in zip(PHASES, starts, (0.0, 0.5, 1.0), ("left", "center", "right"), strict=True):
        for row, (left, share) in enumerate(zip(start, parts[phase], strict=True)):
            if share >= LEGIBLE:
                marks.write_in(axes, left + share / 2, row, percentage(share), ON_PHASE[phase])
        box = {"facecolor": PHASE_COLOURS[phase], "edgecolor": "none", "pad": 2}
        name = heading(phase)[0]
        marks.write_above(axes, (place, 1), name, xycoords="axes fraction", ha=side, color=ON_PHASE[phase], bbox=box)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(marks.UP_TO_ALL)
    marks.text_column(axes, 46, "orders", [fixed(orders) for orders in table["ihc"]])
    axes.set_xlabel("share of the channel's credit by phase")


@chart
def channel_weights_chart(figure: Figure, weights: pd.DataFrame) -> None:
    """One panel per phase, one dot per channel: its weight, with a line from the neutral weight of 1.

    In: `channel_name, initializer_weight, holder_weight, closer_weight [1]`.
    """
    _around_one(figure, weights, "weight", "weight of the channel in the phase")


@chart
def channel_scores_chart(figure: Figure, scores: pd.DataFrame) -> None:
    """One panel per phase, one dot per channel: its score, with a line from the average score of 1.

    In: `channel_name, initializer_score, holder_score, closer_score [1; NaN: no dot]`.
    """
    _around_one(figure, scores, "score", "share of the phase / average share")


def _around_one(figure: Figure, frame: pd.DataFrame, name: str, label: str) -> None:
    figure.set_size_inches(WIDTH, 1.2 + marks.ROW * len(frame))
    panels = figure.subplots(1, len(PHASES), sharey=True, sharex=True)
    rows = np.arange(len(frame))
    for phase, axes in zip(PHASES, panels, strict=True):
        values = frame[f"{phase}_{name}"]
        marks.name_rows(axes, frame["channel_name"], marks.NARROW)
        # Values that print as 1.00 have no colour and no label.
        is_off = (values.map("{:.2f}".format) != "1.00") & values.notna()
        colours = np.where(is_off, PHASE_COLOURS[phase], "#bbbbbb").tolist()
        axes.axvline(1, color=INK, linewidth=0.8, linestyle="--")
        axes.hlines(rows, 1, values, color=colours, linewidth=2)
        axes.scatter(values, rows, color=colours, s=22, zorder=3)
        for row, value in zip(rows[is_off], values[is_off], strict=True):
            marks.write_beside(axes, value, row, fixed(value, 2), left=value < 1)
        axes.set_title(heading(phase)[0], fontsize=10)
        axes.margins(x=0.9)
        axes.spines.left.set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: general(value) if value >= 0 else ""))
        axes.tick_params(axis="x", labelsize=8)
    # Not the label of the figure: the note below a saved chart takes its place.
    panels[len(PHASES) // 2].set_xlabel(label)


@chart
def channel_impact_chart(figure: Figure, impact: pd.DataFrame) -> None:
    """Two panels with one bar per channel: influenced orders, and average credit in these orders.

    In: `channel_name, influenced_conversions [count], share_of_conversions, average_impact [share]`.
    """
    figure.set_size_inches(WIDTH, 1.2 + marks.ROW * len(impact))
    left, right = figure.subplots(1, 2, sharey=True)
    influenced, credit = impact["influenced_conversions"], impact["average_impact"]
    shares = zip(influenced, impact["share_of_conversions"], strict=True)
    for axes, values, colour, texts, label in (
        (
            left,
            influenced,
            BLUE,
            [f"{fixed(orders)} ({percentage(share)})" for orders, share in shares],
            "influenced orders",
        ),
        (right, credit, SKY, [percentage(value) for value in credit], "average credit in these orders"),
    ):
        marks.name_rows(axes, impact["channel_name"], marks.NARROW)
        axes.barh(range(len(values)), values, color=colour, height=0.7)
        marks.label_ends(axes, values, texts, gap=5)
        axes.set_xlabel(label)
        axes.margins(x=0.45)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    left.xaxis.set_major_formatter(marks.AMOUNTS)
    right.xaxis.set_major_formatter(marks.UP_TO_ALL)


@chart
def credit_distribution_chart(figure: Figure, distribution: pd.DataFrame) -> None:
    """One bar per channel: its sessions in journeys by amount of credit.

    In: `channel_name, sessions_in_journeys [count]`, and one column per class of credit, from none to all [share].
    """
    figure.set_size_inches(WIDTH, 1.5 + 0.3 * len(distribution))
    axes = figure.add_subplot()
    marks.name_rows(axes, distribution["channel_name"])
    parts = distribution.drop(columns=["channel_name", "sessions_in_journeys"])
    looks = [{"color": shade, "label": heading(name)[0]} for name, shade in zip(parts.columns, SHADES, strict=True)]
    marks.stack_parts(axes, parts, looks, height=0.78)
    sessions = distribution["sessions_in_journeys"]
    marks.label_ends(axes, np.ones(len(sessions)), [fixed(count) for count in sessions], gap=5)
    marks.whole_axis(axes, 1.12)
    axes.set_xlabel("share and number of sessions in journeys")
    marks.legend_above(figure, 3, title="credit per session", title_fontsize=9)


@chart
def bars_chart(figure: Figure, frame: pd.DataFrame, column: str, *figures: str) -> None:
    """One row per value of `column`, with one bar for each of the `figures`; 20 rows at most."""
    frame = frame.head(MOST_BARS)
    shown = figures[: len(BAR_COLOURS)]
    figure.set_size_inches(WIDTH, 1.2 + (0.16 + 0.16 * len(shown)) * len(frame))
    axes = figure.add_subplot()
    marks.name_rows(axes, frame[column])
    rows, height = np.arange(len(frame)), 0.8 / len(shown)
    for place, (name, colour) in enumerate(zip(shown, BAR_COLOURS, strict=False)):
        offset = (place - (len(shown) - 1) / 2) * height
        values = frame[name].astype("float64")
        axes.barh(rows + offset, values.fillna(0.0), height=0.9 * height, color=colour, label=heading(name)[0])
        if len(shown) == 1:
            write = FORMATS[heading(name)[1]]
            for row, value in enumerate(values):
                marks.write_beside(axes, max(np.nan_to_num(value), 0), row, write(value) if value == value else "–")
    axes.margins(x=0.18)
    axes.spines.left.set_visible(False)
    if len(shown) > 1:
        marks.legend_above(figure)
    else:
        axes.set_xlabel(heading(shown[0])[0])
