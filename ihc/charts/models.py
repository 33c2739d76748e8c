"""Charts of model comparison, model parameters, explained credit, and errors in simulated shops."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ihc.analysis.sensitivity import IHC
from ihc.charts import marks
from ihc.charts.style import BLUE, GREY, INK, ORANGE, PALE, PHASE_COLOURS, WIDTH, chart
from ihc.formatting import HOURS_PER_DAY, duration, fixed, general, percentage, shown
from ihc.glossary import heading
from ihc.models.explanation import BEFORE
from ihc.models.registry import EQUAL
from ihc.schemas.tables import PHASES

ON_CELL = "#1c1c1c"  # text on a pale cell; unlike INK it stays dark on a dark page
FAR = 0.5  # difference between models at which the colour scale ends
# Units of a time axis: minimum range [h], unit [h], name, and multiples for ticks.
UNITS = (
    (4 * HOURS_PER_DAY, HOURS_PER_DAY, "days", (1, 2, 3, 5, 10)),
    (2, 1, "hours", (1, 1.2, 2.4, 3, 6, 10)),
    (0, 1 / 60, "minutes", (1, 2, 3, 6, 10)),
)


@chart
def models_by_channel_chart(figure: Figure, relative: pd.DataFrame) -> None:
    """One row per channel, one column per model: revenue of the first model, and the others' difference to it.

    In: `relative_to_first`: `channel_name`, the first model [currency], the others [1].
    """
    axes = marks.row_axes(figure, relative["channel_name"], limit=marks.NARROW, head=1.8)
    first, *others = (name for name in relative.columns if name != "channel_name")
    shares = relative[others].to_numpy("float64")
    if others:
        edges = np.arange(len(others) + 1) + 0.5, np.arange(len(relative) + 1) - 0.5
        axes.pcolormesh(*edges, shares, cmap="PuOr", vmin=-FAR, vmax=FAR, edgecolor="white", linewidth=1)
    for row, revenue in enumerate(relative[first]):
        marks.write_in(axes, 0.3, row, marks.short(revenue), ha="right")
        for column, share in enumerate(shares[row], start=1):
            colour = INK if np.isnan(share) else "white" if abs(share) > 0.7 * FAR else ON_CELL
            marks.write_in(axes, column, row, _difference(share), colour)
    marks.name_columns(axes, [shown(name, marks.NARROW) for name in (f"{first}, revenue", *others)], 40)
    axes.set_xlim(-0.7, len(others) + 0.5)
    axes.set_xlabel(f"% difference from {shown(first)}")


def _difference(share: float) -> str:
    if not np.isfinite(share):
        return marks.UNKNOWN
    text = fixed(100 * share, sign=True)
    return "0" if text in ("+0", "-0") else text if abs(share) < 10 else f"{'>+' if share > 0 else '<-'}999"


@chart
def membership_chart(figure: Figure, points: pd.DataFrame, label: str) -> None:
    """Membership curve over time, with knots as dots and labels at marked points. Dotted: no data.

    In: `hours [h], membership [1], is_knot, is_marked, is_seen [bool]`; `label` names the time, without its unit.
    """
    figure.set_size_inches(WIDTH, 3.2)
    axes = figure.add_subplot()
    knots, marked = points[points["is_knot"] & points["is_seen"]], points[points["is_marked"]]
    seen, beyond = points[points["is_seen"]], points[~points["is_seen"].shift(-1, fill_value=False)]
    last = points.iloc[-1]
    falls = last["membership"] < points["membership"].iloc[0]
    end = 1.25 * last["hours"]  # space for the last label
    axes.plot(seen["hours"], seen["membership"], color=BLUE, linewidth=1.8, zorder=2)
    axes.plot([*beyond["hours"], end], [*beyond["membership"], last["membership"]], color=BLUE, linestyle=":", zorder=2)
    axes.scatter(knots["hours"], knots["membership"], color=BLUE, s=9, zorder=3)
    axes.scatter(marked["hours"], marked["membership"], color="white", edgecolor=ORANGE, s=34, zorder=4)
    for hours, value in zip(marked["hours"], marked["membership"], strict=True):
        # On the empty side of the curve.
        shift = (7, 5 if falls else -12)
        text = f"{duration(hours)}: {fixed(value, 2)}"
        axes.annotate(text, (hours, value), shift, textcoords="offset points", fontsize=9)
    axes.set_ylim(-0.12, 1.12)
    axes.set_xlim(-0.01 * end, end)
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: fixed(value, 1)))
    axes.set_ylabel("membership")
    _time_axis(axes, last["hours"], label)


def _time_axis(axes: Axes, reach: float, label: str, most: int = 14) -> None:
    """Label an x axis of up to `reach` hours in a suitable unit, with at most `most` ticks."""
    unit, name, steps = next(entry[1:] for entry in UNITS if reach >= entry[0])
    low, high = (value / unit for value in axes.get_xlim())
    ticks = MaxNLocator(nbins=most, integer=True, steps=steps).tick_values(low, high)
    axes.set_xticks([tick * unit for tick in ticks if low <= tick <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda hours, _: general(abs(hours) / unit)))
    axes.set_xlabel(f"{label} [{name}]")


@chart
def phase_weights_chart(figure: Figure, weights: pd.DataFrame) -> None:
    """One bar per phase: its weight. In: `phase, phase_weight [share]`."""
    figure.set_size_inches(WIDTH, 0.9 + 0.32 * len(weights))
    axes = figure.add_subplot()
    marks.name_rows(axes, weights["phase"].map(lambda phase: heading(phase)[0]))
    values = weights["phase_weight"]
    axes.barh(range(len(weights)), values, color=weights["phase"].map(PHASE_COLOURS), height=0.7)
    marks.label_ends(axes, values, [fixed(value, 3) for value in values], gap=5)
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(marks.SHARES)
    axes.set_xlabel("share of credit that the phase assigns")


@chart
def redistribution_chart(figure: Figure, comparison: pd.DataFrame) -> None:
    """One line per channel from its credit before to its credit after redistribution.

    In: `channel_name, ihc_before, ihc_after, ihc_change [orders]`.
    """
    axes = marks.row_axes(figure, comparison["channel_name"], grid=True)
    rows, before, after = range(len(comparison)), comparison["ihc_before"], comparison["ihc_after"]
    changes = comparison["ihc_change"]
    axes.hlines(rows, before, after, color=np.where(changes >= 0, BLUE, ORANGE).tolist(), linewidth=2)
    axes.scatter(before, rows, color="white", edgecolor=GREY, zorder=3, label="before")
    axes.scatter(after, rows, color=BLUE, zorder=3, label="after", s=30)
    texts = [fixed(change, 1, sign=True) if abs(change) >= 0.05 else "±0" for change in changes]
    marks.label_ends(axes, np.maximum(before, after), texts, gap=5)
    axes.margins(x=0.12)
    axes.xaxis.set_major_formatter(marks.AMOUNTS)
    axes.set_xlabel("attributed orders")
    marks.legend_above(figure)


@chart
def explanation_chart(figure: Figure, steps: pd.DataFrame) -> None:
    """One row per session of an order: its time on the left, its credit by phase on the right.

    In: by time `channel_name, to_conversion [h], restart, initializer_credit, holder_credit, closer_credit, ihc
    [share]`.
    """
    figure.set_size_inches(WIDTH, 1.5 + 0.32 * len(steps))
    when, credit = figure.subplots(1, 2, sharey=True, width_ratios=(0.8, 1))
    marks.name_rows(when, steps["channel_name"], marks.NARROW)
    _when(when, steps["to_conversion"])
    parts = steps[[f"{phase}_credit" for phase in PHASES]]
    looks = [{"color": PHASE_COLOURS[phase], "label": heading(phase)[0]} for phase in PHASES]
    marks.stack_parts(credit, parts, looks, height=0.7)
    texts = [
        restart if restart == BEFORE else ", ".join(filter(None, [percentage(value, 1), restart]))
        for value, restart in zip(steps["ihc"], steps["restart"], strict=True)
    ]
    marks.label_ends(credit, steps["ihc"], texts, gap=5)
    credit.tick_params(axis="y", length=0)
    credit.margins(x=0.6 if steps["restart"].any() else 0.2)
    credit.xaxis.set_major_locator(MaxNLocator(nbins=4))
    credit.xaxis.set_major_formatter(marks.UP_TO_ALL)
    credit.set_xlabel("credit")
    marks.legend_above(figure, 3)


def _when(axes: Axes, to_conversion: pd.Series[float]) -> None:
    """Mark the time of each row before the conversion, which is on the right."""
    reach = float(to_conversion.max()) or 1.0
    rows = range(len(to_conversion))
    axes.set_xlim(-1.08 * reach, 0.08 * reach)
    axes.plot(-to_conversion, rows, color=PALE, linewidth=1, zorder=1)
    axes.scatter(-to_conversion, rows, color=INK, s=18, zorder=3)
    for row, hours in zip(rows, to_conversion, strict=True):
        marks.write_beside(axes, -hours, row, duration(hours), left=hours < reach / 2)
    _time_axis(axes, reach, "before the conversion", most=5)


@chart
def share_errors_chart(figure: Figure, table: pd.DataFrame) -> None:
    """One panel per generator, one row per model: the mean error of shares as a dot, lowest to highest seed as a line.

    Dashed: equal shares. In: `generator, model, share_error, share_error_low, share_error_high [1]`.
    """
    groups = list(table.groupby("generator", sort=False))
    lines = -(-len(groups) // 2)
    columns = min(len(groups), 2)
    models = table.loc[table["model"] != EQUAL, "model"].drop_duplicates()
    figure.set_size_inches(WIDTH, lines * (0.9 + marks.ROW * len(models)))
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes in panels.ravel()[len(groups) :]:
        axes.set_visible(False)
    for axes, (generator, rows) in zip(panels.ravel(), groups, strict=False):
        marks.name_rows(axes, models)
        errors = rows.set_index("model").reindex(models)
        places = np.arange(len(errors))
        colours = [BLUE if model == IHC else GREY for model in models]
        axes.hlines(places, errors["share_error_low"], errors["share_error_high"], color=colours, linewidth=2)
        axes.scatter(errors["share_error"], places, color=colours, s=26, zorder=3)
        for equal in rows.loc[rows["model"] == EQUAL, "share_error"]:
            axes.axvline(equal, color=INK, linewidth=1, linestyle="--", zorder=1)
        axes.grid(axis="x", color=PALE, linewidth=0.6)
        axes.set_title(shown(generator, marks.NARROW))
        axes.set_xlim(0, 1.1 * rows["share_error_high"].max())
        axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
        axes.xaxis.set_major_formatter(lambda value, _: fixed(value, 2))
    panels[-1, 0].set_xlabel("error of shares; dashed: equal shares", loc="left")
