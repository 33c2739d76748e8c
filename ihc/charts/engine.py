"""Charts of what the engine knows, of how a credit comes about, and of what the credits say of the channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from ihc.charts.style import AMOUNTS, BLUE, GREY, INK, ORANGE, PALE, SKY, WIDTH, chart, name_rows
from ihc.formatting import HOURS_PER_DAY, duration
from ihc.glossary import heading
from ihc.models.explanation import BEFORE
from ihc.schemas.tables import PHASES

PHASE_COLOURS = dict(zip(PHASES, (BLUE, SKY, ORANGE), strict=True))
# How an axis of hours is read: from how many hours on in which unit [h], with ticks at which multiples of it.
UNITS = (
    (4 * HOURS_PER_DAY, HOURS_PER_DAY, "days", (1, 2, 3, 5, 10)),
    (2, 1, "hours", (1, 1.2, 2.4, 3, 6, 10)),
    (0, 1 / 60, "minutes", (1, 2, 3, 6, 10)),
)
# From no credit to all of it, the last still seen on a dark page.
SHADES = (PALE, "#d9e7f5", "#abd0e8", "#74b2dc", "#428dc9", "#1f63ad")
NAME_LIMIT = 22
# Ticks of shares, none beyond the whole, where the room for labels makes the axis longer.
UP_TO_ALL = FuncFormatter(lambda share, _: f"{share:.0%}" if share < 1.001 else "")


@chart
def membership_curve(figure: Figure, points: pd.DataFrame, label: str) -> None:
    """A membership over time, a dot at each knot, the marked points labelled; dotted where no data stand behind it.

    In: `hours [h], membership [1], is_knot, is_marked, is_seen [bool]`; `label` says what the time is, without its
    unit.
    """
    figure.set_size_inches(WIDTH, 3.2)
    axes = figure.add_subplot()
    knots, marks = points[points["is_knot"] & points["is_seen"]], points[points["is_marked"]]
    seen, beyond = points[points["is_seen"]], points[~points["is_seen"].shift(-1, fill_value=False)]
    last = points.iloc[-1]
    falls = last["membership"] < points["membership"].iloc[0]
    end = 1.25 * last["hours"]  # room for the last label
    axes.plot(seen["hours"], seen["membership"], color=BLUE, linewidth=1.8, zorder=2)
    axes.plot([*beyond["hours"], end], [*beyond["membership"], last["membership"]], color=BLUE, linestyle=":", zorder=2)
    axes.scatter(knots["hours"], knots["membership"], color=BLUE, s=9, zorder=3)
    axes.scatter(marks["hours"], marks["membership"], color="white", edgecolor=ORANGE, s=34, zorder=4)
    for hours, value in zip(marks["hours"], marks["membership"], strict=True):
        # On the side of the curve that is empty.
        shift = (7, 5 if falls else -12)
        axes.annotate(f"{duration(hours)}: {value:.2f}", (hours, value), shift, textcoords="offset points", fontsize=9)
    axes.set_ylim(-0.12, 1.12)
    axes.set_xlim(-0.01 * end, end)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_ylabel("membership")
    _time_axis(axes, last["hours"], label)


def _time_axis(axes: Axes, reach: float, label: str, most: int = 14) -> None:
    """An x axis of hours up to `reach`, read in the unit that suits it, with at most so many ticks."""
    unit, name, steps = next(entry[1:] for entry in UNITS if reach >= entry[0])
    low, high = (value / unit for value in axes.get_xlim())
    ticks = MaxNLocator(nbins=most, integer=True, steps=steps).tick_values(low, high)
    axes.set_xticks([tick * unit for tick in ticks if low <= tick <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda hours, _: f"{abs(hours) / unit:,.10g}"))
    axes.set_xlabel(f"{label} [{name}]")


@chart
def phase_weights(figure: Figure, weights: pd.DataFrame) -> None:
    """A bar a phase: its weight in the credit. In: `phase, phase_weight [share]`."""
    figure.set_size_inches(WIDTH, 0.9 + 0.32 * len(weights))
    axes = figure.add_subplot()
    places = range(len(weights))
    axes.barh(places, weights["phase_weight"], color=[PHASE_COLOURS[phase] for phase in weights["phase"]], height=0.7)
    axes.set_yticks(places, labels=[heading(phase)[0] for phase in weights["phase"]])
    axes.set_ylim(len(weights) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    for place, value in zip(places, weights["phase_weight"], strict=True):
        _beside(axes, value, place, f"{value:.3f}")
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("part of the credit that the phase decides")


def _beside(axes: Axes, value: float, place: float, text: str, *, left: bool = False) -> None:
    """Write a text beside the point of a bar or a mark."""
    side = -1 if left else 1
    axes.annotate(
        text,
        (value, place),
        (5 * side, 0),
        textcoords="offset points",
        va="center",
        ha="right" if left else "left",
        fontsize=9,
    )


@chart
def channel_weights(figure: Figure, weights: pd.DataFrame) -> None:
    """A panel a phase, a dot a channel: its weight, on a line from 1, the neutral one.

    In: `channel_name, initializer_weight, holder_weight, closer_weight [1]`.
    """
    _around_one(
        figure, weights, [f"{phase}_weight" for phase in PHASES], "{:.2f}", "weight of the channel in the phase"
    )


@chart
def channel_scores(figure: Figure, scores: pd.DataFrame) -> None:
    """A panel a phase, a dot a channel: its score, on a line from 1, the mean channel's.

    In: `channel_name, initializer_score, holder_score, closer_score [1; NaN has no dot]`.
    """
    _around_one(figure, scores, [f"{phase}_score" for phase in PHASES], "{:.2f}", "share of the phase / mean share")


def _around_one(figure: Figure, frame: pd.DataFrame, columns: Sequence[str], style: str, label: str) -> None:
    figure.set_size_inches(WIDTH, 1.2 + 0.28 * len(frame))
    panels = figure.subplots(1, len(columns), sharey=True, sharex=True)
    for phase, column, axes in zip(PHASES, columns, panels, strict=True):
        places = name_rows(axes, frame["channel_name"], NAME_LIMIT)
        # As it is printed: what cannot be told from 1 is no distance worth a colour.
        is_off = (frame[column].map(style.format) != style.format(1)) & frame[column].notna()
        colours = np.where(is_off, PHASE_COLOURS[phase], "#bbbbbb").tolist()
        axes.axvline(1, color=INK, linewidth=0.8, linestyle="--")
        axes.hlines(places, 1, frame[column], color=colours, linewidth=2)
        axes.scatter(frame[column], places, color=colours, s=22, zorder=3)
        for place, value in zip(np.asarray(places)[is_off], frame.loc[is_off, column], strict=True):
            _beside(axes, value, place, style.format(value), left=value < 1)
        axes.set_title(heading(phase)[0], fontsize=10)
        axes.margins(x=0.9)
        axes.spines.left.set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}" if value >= 0 else ""))
        axes.tick_params(axis="x", labelsize=8)
    # Not the figure's own label, whose place the note below a published chart takes.
    panels[len(columns) // 2].set_xlabel(label)


@chart
def influence(figure: Figure, impact: pd.DataFrame) -> None:
    """Two panels, a bar a channel: the orders it took part in, and its average credit in them.

    In: `channel_name, influenced_conversions [count], share_of_conversions, average_impact [share]`.
    """
    figure.set_size_inches(WIDTH, 1.2 + 0.28 * len(impact))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, column, colour, label in (
        (left, "influenced_conversions", BLUE, "orders with the channel"),
        (right, "average_impact", SKY, "its average credit in them"),
    ):
        places = name_rows(axes, impact["channel_name"], NAME_LIMIT)
        axes.barh(places, impact[column], color=colour, height=0.7)
        axes.set_xlabel(label)
        axes.margins(x=0.45)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    for place, (orders, share) in enumerate(
        zip(impact["influenced_conversions"], impact["share_of_conversions"], strict=True)
    ):
        _beside(left, orders, place, f"{orders:,} ({share:.0%})")
    for place, value in enumerate(impact["average_impact"]):
        _beside(right, value, place, f"{value:.0%}")
    left.xaxis.set_major_formatter(AMOUNTS)
    right.xaxis.set_major_formatter(UP_TO_ALL)


@chart
def credit_distribution(figure: Figure, distribution: pd.DataFrame) -> None:
    """A bar a channel of all its sessions in journeys, parted by how much credit each got.

    In: `channel_name, sessions_in_journeys [count]`, and a column a class of credit, from none to all [share].
    """
    figure.set_size_inches(WIDTH, 1.5 + 0.3 * len(distribution))
    axes = figure.add_subplot()
    places = name_rows(axes, distribution["channel_name"])
    classes = [name for name in distribution.columns if name not in ("channel_name", "sessions_in_journeys")]
    shares = distribution[classes].to_numpy()
    starts = shares.cumsum(axis=1) - shares
    for number, (name, colour) in enumerate(zip(classes, SHADES, strict=True)):
        axes.barh(places, shares[:, number], left=starts[:, number], color=colour, height=0.78, label=heading(name)[0])
    for place, sessions in enumerate(distribution["sessions_in_journeys"]):
        _beside(axes, 1, place, f"{sessions:,}")
    axes.set_xlim(0, 1.12)
    axes.set_xticks(np.linspace(0, 1, 5))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("share of its sessions in journeys, and how many")
    figure.legend(
        title="credit of a session", frameon=False, loc="outside upper center", ncols=3, fontsize=9, title_fontsize=9
    )


@chart
def before_after(figure: Figure, comparison: pd.DataFrame) -> None:
    """A line a channel from its credit before to its credit after.

    In: `channel_name, ihc_before, ihc_after, ihc_change [orders]`.
    """
    figure.set_size_inches(WIDTH, 1.3 + 0.28 * len(comparison))
    axes = figure.add_subplot()
    places = name_rows(axes, comparison["channel_name"])
    before, after = comparison["ihc_before"], comparison["ihc_after"]
    colours = [BLUE if change >= 0 else ORANGE for change in comparison["ihc_change"]]
    axes.hlines(places, before, after, color=colours, linewidth=2)
    axes.scatter(before, places, color="white", edgecolor=GREY, zorder=3, label="before")
    axes.scatter(after, places, color=BLUE, zorder=3, label="after", s=30)
    for place, (high, change) in enumerate(zip(np.maximum(before, after), comparison["ihc_change"], strict=True)):
        _beside(axes, high, place, f"{change:+,.1f}" if abs(change) >= 0.05 else "±0")
    axes.margins(x=0.12)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(AMOUNTS)
    axes.set_xlabel("attributed orders")
    figure.legend(frameon=False, loc="outside upper center", ncols=2, fontsize=9)


@chart
def explanation(figure: Figure, steps: pd.DataFrame) -> None:
    """A row a session of one order: on the left when it was, on the right its credit, parted by phase.

    In: by time `channel_name, to_conversion [h], restart, initializer_credit, holder_credit, closer_credit, ihc
    [share]`.
    """
    figure.set_size_inches(WIDTH, 1.5 + 0.32 * len(steps))
    when, credit = figure.subplots(1, 2, sharey=True, width_ratios=(0.8, 1))
    places = name_rows(when, steps["channel_name"], NAME_LIMIT)
    _when(when, steps["to_conversion"], places)
    start = np.zeros(len(steps))
    for phase, colour in PHASE_COLOURS.items():
        part = steps[f"{phase}_credit"]
        credit.barh(places, part, left=start, color=colour, height=0.7, label=heading(phase)[0])
        start = start + part.to_numpy()
    for place, (value, restart) in enumerate(zip(steps["ihc"], steps["restart"], strict=True)):
        _beside(
            credit, value, place, restart if restart == BEFORE else ", ".join(filter(None, [f"{value:.1%}", restart]))
        )
    credit.tick_params(axis="y", length=0)
    credit.margins(x=0.6 if steps["restart"].any() else 0.2)
    credit.xaxis.set_major_locator(MaxNLocator(nbins=4))
    credit.xaxis.set_major_formatter(UP_TO_ALL)
    credit.set_xlabel("credit")
    figure.legend(frameon=False, loc="outside upper center", ncols=3, fontsize=9)


def _when(axes: Axes, to_conversion: pd.Series[float], places: Sequence[int]) -> None:
    """Mark each row's time before the conversion, which stands on the right."""
    reach = float(to_conversion.max()) or 1.0
    axes.set_xlim(-1.08 * reach, 0.08 * reach)
    axes.plot(-to_conversion, places, color=PALE, linewidth=1, zorder=1)
    axes.scatter(-to_conversion, places, color=INK, s=18, zorder=3)
    for place, hours in zip(places, to_conversion, strict=True):
        _beside(axes, -hours, place, duration(hours), left=hours < reach / 2)
    _time_axis(axes, reach, "before the conversion", most=5)
