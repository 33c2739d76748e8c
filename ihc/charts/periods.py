"""Charts over time, by week and by day."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ihc.analysis.periods import WEEK
from ihc.arrays.types import Booleans, Integers
from ihc.charts import marks
from ihc.charts.palette import OTHER, fold_others
from ihc.charts.style import BLUE, INK, ORANGE, PALE, WIDTH, chart
from ihc.formatting import counted, dated, dated_axis, fixed, shown

INCOMPLETE = "incomplete days"
FAINT = 0.45  # opacity of the bars of partial weeks
DAYS = (1, 2, 3, 7, 14, 28)  # between ticks
MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)


@chart
def revenue_by_week_chart(
    figure: Figure, weekly: pd.DataFrame, colours: Mapping[str, str], currency: str = "currency"
) -> None:
    """One stacked bar per week: attributed revenue by channel. Weeks of less than seven days are pale.

    In: `weekly_reporting`: `channel_name, week, days, ihc_revenue`. Channels without their own colour in `colours` are
    summed.
    """
    folded = fold_others(weekly, colours, ["week"], ["ihc_revenue"])
    names = folded["channel_name"].drop_duplicates().tolist()
    parts = folded.pivot(index="week", columns="channel_name", values="ihc_revenue")[names].fillna(0.0)
    days = weekly.groupby("week")["days"].max().reindex(parts.index)
    figure.set_size_inches(WIDTH, max(3.4, marks.AROUND + marks.LINE * (len(names) + 1)))
    axes, mondays = figure.add_subplot(), _days(parts.index)
    ends = _stack(axes, parts, colours, (days < WEEK).to_numpy())
    low, high = parts.clip(upper=0).sum(axis=1).min(), parts.clip(lower=0).sum(axis=1).max()
    _rise_from_zero(axes, low, high, f"attributed revenue [{currency}]")
    pad = WEEK * max(0, 3 - len(parts)) / 2  # limits the width of a single bar
    axes.set_xlim(mondays[0] - pad, mondays[-1] + WEEK + pad)
    _date_ticks(axes, mondays, 6, at_least=WEEK, shift=WEEK / 2)
    axes.set_xlabel(f"week (from Monday), {_years(mondays)}{_pale_note(days)}")
    marks.label_series(figure, axes, mondays[-1] + WEEK - 0.5, ends)


def _stack(axes: Axes, parts: pd.DataFrame, colours: Mapping[str, str], is_pale: Booleans) -> list[marks.Label]:
    """Draw stacked bars, with negative amounts below the axis. Out: labels for the segments of the last bar."""
    ends: list[marks.Label] = []
    up, down, middles = np.zeros(len(parts)), np.zeros(len(parts)), _days(parts.index) + WEEK / 2
    for name in parts.columns:
        part, colour = parts[name].to_numpy(), colours.get(name, OTHER)
        below = np.where(part < 0, down, up)
        bars = axes.bar(middles, part, bottom=below, width=WEEK - 1, color=colour)
        for bar, week, value in zip(bars.patches, parts.index, part, strict=True):
            marks.tell(bar, [f"{shown(name)}, week from {dated(week)}: {fixed(value, 2)}"])
        for bar in np.array(bars.patches)[is_pale]:
            bar.set_alpha(FAINT)
        up, down = up + part.clip(0), down + part.clip(None, 0)
        ends.append((below[-1] + part[-1] / 2, shown(name, marks.NARROW), colour))
    return ends


def _pale_note(days: pd.Series[int]) -> str:
    short = [f"{dated(shown(week))} ({counted(count, 'day')})" for week, count in days[days < WEEK].items()]
    return f"\npale: partial week, {' and '.join(short)}" if short else ""


@chart
def roas_over_time_chart(
    figure: Figure,
    daily: pd.DataFrame,
    channels: Sequence[str],
    colours: Mapping[str, str],
    immature: Collection[str] | None = None,
    roas: float = 1.0,
) -> None:
    """One small panel of daily ROAS per channel, on the same scale, with a line at break-even.

    In: `channel_name, date` of the sessions, `ROAS [1; NaN: gap]`. Incomplete dates are shaded.
    """
    columns = min(3, len(channels)) or 1
    rows = ceil(len(channels) / columns) or 1
    figure.set_size_inches(WIDTH, 1.2 + 1.3 * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    days = _days(daily["date"])
    young = _days(immature or [])
    young = young[(young >= days.min()) & (young <= days.max())]
    for channel, axes in zip(channels, panels, strict=False):
        is_here = (daily["channel_name"] == channel).to_numpy()
        marks.power_scale(axes.yaxis)
        _day_axis(axes, days, 6 // columns + 1)
        _ground(axes, young)
        axes.axhline(roas, color=INK, linewidth=0.8, linestyle="--", zorder=3)
        _day_line(axes, days[is_here], daily.loc[is_here, "ROAS"], colours.get(channel, OTHER), "-")
        axes.set_title(shown(channel, marks.NARROW), fontsize=9, y=1)  # a fixed place is not measured again
    for axes in list(panels):
        axes.remove()
    for place, axes in enumerate(figure.axes):
        axes.set_ylabel("ROAS" if place % columns == 0 else "", fontsize=8)
        axes.tick_params(labelsize=8, labelbottom=place + columns >= len(channels))
    notes = [f"dashed: break-even {fixed(roas, 2)}", *([f"shaded: {INCOMPLETE}"] if len(young) else []), _years(days)]
    figure.suptitle("; ".join(notes), fontsize=9, color=INK, x=0.01, ha="left")


@chart
def cost_and_revenue_chart(
    figure: Figure, totals: pd.DataFrame, maturity: pd.DataFrame, currency: str = "currency"
) -> None:
    """Two lines by day: spend and attributed revenue, with expected revenue for incomplete days.

    In: `period_totals`: `date, cost, ihc_revenue [currency]`, and of the same days `maturity`: `date,
    ihc_revenue_expected [currency], is_immature`.
    """
    figure.set_size_inches(WIDTH, 3.2)
    axes, days = figure.add_subplot(), _days(totals["date"])
    young = maturity[maturity["is_immature"] & maturity["date"].isin(totals["date"])]
    # Start at the last complete day, so that the dotted line starts on the solid line.
    start = maturity["is_immature"] | maturity["is_immature"].shift(-1, fill_value=False)
    expected = maturity[start & maturity["date"].isin(totals["date"])].dropna(subset=["ihc_revenue_expected"])
    lines = [
        (days, totals["cost"], ORANGE, "-", "spend"),
        (days, totals["ihc_revenue"], BLUE, "-", "attributed revenue"),
    ]
    if len(young) and len(expected):
        lines.append((_days(expected["date"]), expected["ihc_revenue_expected"], BLUE, ":", "expected revenue"))
    _day_axis(axes, days, 6)
    _ground(axes, _days(young["date"]))
    for at, values, colour, style, _ in lines:
        _day_line(axes, at, values, colour, style)
    every = pd.concat([entry[1] for entry in lines])
    _rise_from_zero(axes, every.min(), 1.1 * every.max(), f"{currency} per day")
    axes.set_xlabel(f"day of the sessions, {_years(days)}")
    if len(young):
        _note_ground(axes, _days(young["date"]), days)
    ends = [(float(values.iloc[-1]), text, colour) for _, values, colour, _, text in lines]
    marks.label_series(figure, axes, days.max(), ends)


def _note_ground(axes: Axes, young: Integers, days: Integers) -> None:
    """Label the shaded area, on the side with more space."""
    right = young.max() + 0.5
    is_left = right - days.min() < (days.max() - days.min() + 1) / 3
    at = young.min() - 0.5 if is_left else right
    axes.annotate(
        f"shaded: {INCOMPLETE}", (at, 1), (4 if is_left else -4, -3), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="left" if is_left else "right", va="top", fontsize=8,
    )  # fmt: skip


def _days(dates: Collection[str] | pd.Series[str] | pd.Index[str]) -> Integers:
    """Convert dates (YYYY-MM-DD) to days since 1970."""
    return np.asarray(list(dates), dtype="datetime64[D]").astype("int64")


def _date(day: float) -> date:
    return date(1970, 1, 1) + timedelta(days=int(day))


def _years(days: Integers) -> str:
    first, last = _date(days.min()).year, _date(days.max()).year
    return str(first) if first == last else f"{first} to {last}"


def _day_axis(axes: Axes, days: Integers, most: int) -> None:
    axes.set_xlim(days.min() - 0.5, days.max() + 0.5)
    _date_ticks(axes, days, most)


def _date_ticks(axes: Axes, days: Integers, most: int, *, at_least: int = 1, shift: float = 0) -> None:
    """Set at most about `most` ticks, on whole days, or on the first of a month for longer ranges."""
    first, last = int(days.min()), int(days.max())
    steps = [step for step in DAYS if step >= at_least and (last - first) / step < most]
    ticks = np.arange(first, last + 1, steps[0]) if steps else _months(first, last, most)
    labels = [dated_axis(_date(tick), by_month=not steps) for tick in ticks.tolist()]
    axes.set_xticks(ticks + shift, labels=labels)


def _months(first: int, last: int, most: int) -> Integers:
    """Return at most `most` evenly spaced first days of months between two days."""
    ends = np.array([first, last], dtype="datetime64[D]").astype("datetime64[M]")
    starts = np.arange(ends[0], ends[1] + 1)
    starts = starts[starts.astype("datetime64[D]").astype("int64") >= first]
    numbers = starts.astype("int64")
    every = next((step for step in MONTHS if (numbers % step == 0).sum() <= most), MONTHS[-1])
    return np.asarray(starts[numbers % every == 0].astype("datetime64[D]").astype("int64"))


def _day_line(axes: Axes, days: Integers, values: pd.Series[float], colour: str, style: str) -> None:
    """Draw a line by day, with dots if there are few days. The axes must already have their limits."""
    low, high = axes.get_xlim()
    marker, width = ("o", 1.5) if high - low <= 60 else ("", 0.8 if high - low > 180 else 1.5)
    (line,) = axes.plot(days, values, style, color=colour, marker=marker, markersize=3, linewidth=width)
    points = zip(days.tolist(), values, strict=True)
    marks.tell(line, [f"{dated(_date(day))}: {fixed(value, 2)}" for day, value in points if np.isfinite(value)])


def _ground(axes: Axes, young: Integers) -> None:
    if len(young):
        axes.axvspan(young.min() - 0.5, young.max() + 0.5, color=PALE, linewidth=0, zorder=0)


def _rise_from_zero(axes: Axes, low: float, high: float, label: str) -> None:
    """Start an axis of amounts at 0, or lower if there are negative amounts."""
    low, high = min(0.0, float(np.nan_to_num(low))), max(0.0, float(np.nan_to_num(high)))
    room = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - room if low else 0, high + room)
    if low:
        axes.axhline(0, color=INK, linewidth=0.8)
    marks.amount_axis(axes.yaxis, 6)
    axes.set_ylabel(label)


@chart
def roas_trend_chart(figure: Figure, frame: pd.DataFrame, column: str, roas: float = 1.0) -> None:
    """Line of ROAS over the periods in `column`. Dashed: break-even. In: `column`, `ROAS` [1; NaN: gap]."""
    figure.set_size_inches(WIDTH, 2.8)
    axes = figure.add_subplot()
    places = np.arange(len(frame))
    axes.plot(places, frame["ROAS"], color=BLUE, marker="o", markersize=4)
    axes.axhline(roas, color=INK, linewidth=1, linestyle="--")
    axes.set_ylim(bottom=min(0.0, float(np.nan_to_num(frame["ROAS"].min()))))
    step = -(-len(frame) // 8)
    axes.set_xticks(places[::step], labels=[dated(text) for text in frame[column].tolist()[::step]])
    marks.amount_axis(axes.yaxis, 6)
    axes.set_ylabel("ROAS")
