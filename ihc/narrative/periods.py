"""Sentences on periods: spend, change from the previous period, and trend."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from ihc.analysis.periods import ALONE, BLENDED, EARNED, PAID, PLACED, REVENUE, SPEND, UNPLACED, WEEK
from ihc.analysis.reporting import SUMS
from ihc.formatting import counted, dated, fixed, percentage, shown
from ihc.glossary import FORMATS
from ihc.schemas.tables import Window

UNCHANGED = 0.005  # a relative change up to this rounds to 0%


def spend_sentence(figures: pd.DataFrame) -> str:
    """Compare the revenue of all orders with total spend, and state spend without a session. In: `key_figures`."""
    rows = {str(row["figure"]): row for _, row in figures.iterrows()}
    spend, revenue, roas = (float(rows[figure]["value"]) for figure in (SPEND, REVENUE, BLENDED))
    against = f": blended ROAS {fixed(roas, 2)}" if spend else ""
    text = f"Total spend is {fixed(spend, 2)} and revenue of all orders is {fixed(revenue, 2)}{against}."
    alone = (rows[figure] for figure in (UNPLACED, ALONE) if figure in rows)
    return " ".join([text, *(f"{row['figure']}: {fixed(row['value'], 2)} ({row['note']})." for row in alone)])


def change_sentence(
    figures: pd.DataFrame, window: Window, previous: Window | None, *, immature_from: str | None = None
) -> str:
    """Describe the change from the previous period, or why there is no comparison.

    In: `key_figures` `with_incomplete`, the requested dates, their `previous_window`, and the first incomplete day,
    `immature_from`.
    """
    if not previous:
        return "Set --start-date and --end-date for a period comparison."
    rows = {str(row["figure"]): row for _, row in figures.iterrows()}
    first, last = (date.fromisoformat(day or "") for day in previous)
    start, end, long = dated(first), dated(last), (last - first).days + 1
    days = f"the {counted(long, 'day')} before, {start} to {end}" if long > 1 else f"the day before, {start}"
    if pd.isna(rows[REVENUE]["before"]):
        return f"There is no comparison with {days}: the tables do not go back that far."
    text = f"Compared with {days}: {_moves(rows, REVENUE, PLACED, SPEND, BLENDED)}."
    if pd.isna(rows[EARNED]["before"]):
        return f"{text} Attributed figures are not compared, because some orders of those days have no stored credit."
    attributed = _moves(rows, EARNED, PAID)
    text = f"{text} {attributed[0].upper()}{attributed[1:]}."
    if not immature_from or immature_from > (window[1] or immature_from):
        return text
    since = max(immature_from, window[0] or immature_from)
    return (
        f"{text} Days from {dated(since)} on are incomplete because of conversion lag, so the attributed figures are "
        "not comparable."
    )


def _moves(rows: dict[str, pd.Series], *figures: str) -> str:
    """Write figures with their change: revenue 110.00 (+10%), orders 3 (unchanged)."""
    return ", ".join(f"{name[0].lower()}{name[1:]} {_moved(rows[name])}" for name in figures)


def _moved(row: pd.Series) -> str:
    write, change = FORMATS[str(row["unit"])], row["change"]
    text = write(row["value"]) if pd.notna(row["value"]) else "none"
    if pd.isna(change):
        return f"{text} ({write(row['before'])} before)" if pd.notna(row["before"]) else text
    if abs(change) > UNCHANGED:
        return f"{text} ({percentage(change, sign=True)})"
    little = f"{'up' if change > 0 else 'down'} less than {percentage(0.01)}"
    return f"{text} ({little if change else 'unchanged'})"


def trend_sentence(weekly: pd.DataFrame, *, immature_from: str | None = None) -> str:
    """Compare the last complete week with the average of the earlier complete weeks, over all channels.

    In: `weekly_reporting`, and the first incomplete day, `immature_from`. Weeks with incomplete days are left out.
    """
    full = weekly[weekly["days"] == WEEK].groupby("week", as_index=False)[list(SUMS)].sum()
    complete = full[[not immature_from or _sunday(week) < immature_from for week in full["week"]]]
    later = "" if len(complete) == len(full) else " Later weeks are incomplete because of conversion lag."
    if len(complete) < 2:
        return f"There are fewer than two complete weeks (Monday to Sunday) to compare.{later}"
    last, earlier = complete.iloc[-1], complete.iloc[:-1]
    mean = float(earlier["ihc_revenue"].mean())
    base = (
        "in the week before" if len(earlier) == 1 else f"on average in the {fixed(len(earlier))} complete weeks before"
    )
    return (
        f"In the last complete week (from {dated(last['week'])}), attributed revenue is "
        f"{fixed(last['ihc_revenue'], 2)}, "
        f"{_against(float(last['ihc_revenue']), mean)} {base}. {_roas(last, earlier)}.{later}"
    )


def _against(value: float, base: float) -> str:
    change = (value - base) / abs(base) if base else np.nan
    if not np.isfinite(change) or abs(change) <= UNCHANGED:
        return f"compared with {fixed(base, 2)}" if not base else "about the same as"
    return f"{percentage(abs(change))} {'more' if change > 0 else 'less'} than"


def _roas(last: pd.Series, earlier: pd.DataFrame) -> str:
    costs = (float(last["cost"]), float(earlier["cost"].sum()))
    if not costs[0]:
        return "It has no ROAS because there is no spend"
    own = f"ROAS is {fixed(last['ihc_revenue'] / costs[0], 2)}"
    if not costs[1]:
        return f"{own}; there was no spend before"
    return f"{own}, compared with {fixed(earlier['ihc_revenue'].sum() / costs[1], 2)} before"


def _sunday(monday: str) -> str:
    return (date.fromisoformat(monday) + timedelta(days=WEEK - 1)).isoformat()


def trend_finding(totals: pd.DataFrame, ages: pd.DataFrame) -> str:
    """State spend, attributed revenue and the incomplete days. In: `period_totals` and `maturity`."""
    spend, revenue = totals["cost"].sum(), totals["ihc_revenue"].sum()
    text = f"Spend {fixed(spend)}, attributed revenue {fixed(revenue)} in {counted(len(totals), 'day')}"
    young = int(ages["is_immature"].sum())
    return f"{text} (last {counted(young, 'day') if young > 1 else 'day'} incomplete)" if young else text


def week_finding(weekly: pd.DataFrame) -> str:
    """Name the full week with the most attributed revenue, or of all weeks if none is full. In: `weekly_reporting`."""
    full = weekly[weekly["days"] == WEEK]
    sums = (full if len(full) else weekly).groupby("week")["ihc_revenue"].sum()
    if sums.empty:
        return ""
    return f"Attributed revenue peaks at {fixed(sums.max())} in the week from {dated(sums.idxmax())}"


def day_finding(daily: pd.DataFrame, names: list[str]) -> str:
    """State the range of daily ROAS of the channel with the most spend. In: `channel_reporting` with ratios."""
    known = daily[daily["channel_name"].isin(names)].dropna(subset=["ROAS"])
    if known.empty:
        return ""
    name = known.groupby("channel_name")["cost"].sum().idxmax()
    values = known.loc[known["channel_name"] == name, "ROAS"]
    return f"The daily ROAS of {shown(name)} ranges from {fixed(values.min(), 2)} to {fixed(values.max(), 2)}"
