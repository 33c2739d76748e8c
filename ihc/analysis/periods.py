"""Weekly and period totals, key figures, and comparison with the previous period."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.analysis.reporting import SUMS, by_channel, cost_without_session, ratio, with_ratios
from ihc.arrays.lookup import isin
from ihc.arrays.sums import sum_by, total
from ihc.errors import InputError
from ihc.formatting import counted, fixed
from ihc.glossary import COUNT, CREDIT, FORMATS, MONEY, RATIO
from ihc.schemas.refunds import is_purchase
from ihc.schemas.tables import REPORTING, Tables, Window, check_window, inside, require_columns

WEEK = 7
SETTLED = ("credited", "unattributed")


# The figures of "At a glance", their units, and those that depend on credit.
REVENUE, PLACED, SPEND, UNPLACED = "Revenue", "Orders", "Total spend", "Spend without a session"
ALONE = "Daily spend without a session"
BLENDED, EARNED, EARNED_ORDERS = "Blended ROAS", "Attributed revenue", "Attributed orders"
CPO, PAID = "CPO", "Attributed ROAS of paid channels"
UNITS = {
    REVENUE: MONEY,
    PLACED: COUNT,
    SPEND: MONEY,
    UNPLACED: MONEY,
    ALONE: MONEY,
    BLENDED: RATIO,
    EARNED: MONEY,
    EARNED_ORDERS: CREDIT,
    CPO: MONEY,
    PAID: RATIO,
}
PERIODS = {"day": "date", "week": "week", "month": "month"}  # the column for each unit
ATTRIBUTED = (EARNED, EARNED_ORDERS, CPO, PAID)


def weekly_reporting(reporting: pd.DataFrame) -> pd.DataFrame:
    """Sum the channel reporting by week, Monday to Sunday (ISO 8601).

    In: `channel_reporting`. Out: one row per channel and week with any session: `channel_name, week [its Monday], days
    [count; reported days in the week: 7 in a full week], cost [currency], ihc [orders], ihc_revenue [currency], CPO
    [currency per order], ROAS [1]`. Raises InputError for a missing column.
    """
    require_columns(reporting, REPORTING, "reporting")
    codes, names = pd.factorize(reporting["date"], sort=True)
    days = np.asarray(names, dtype="datetime64[D]")
    mondays = _mondays(days)
    covered = (np.minimum(mondays + (WEEK - 1), days[-1:]) - np.maximum(mondays, days[:1])).astype("int64") + 1
    weeks = reporting.assign(week=pd.array(np.datetime_as_string(mondays), dtype="str")[codes], days=covered[codes])
    return with_ratios(sum_by(weeks, ["channel_name", "week", "days"], SUMS))


def _mondays(days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.datetime64]:
    # 1970-01-01 was a Thursday, three days after its Monday.
    mondays: npt.NDArray[np.datetime64] = days - (days.astype("int64") + 3) % WEEK
    return mondays


def period_totals(reporting: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Sum the channel reporting by `day`, `week` (from Monday) or `month` over all channels.

    In: `channel_reporting`. Out: in time order: `date`, `week` or `month`, and `cost [currency], ihc [orders],
    ihc_revenue [currency], CPO [currency per order], ROAS [1]`. Raises InputError for a missing column or an unknown
    unit.
    """
    require_columns(reporting, REPORTING, "reporting")
    if unit not in PERIODS:
        raise InputError(f"A trend is by {', '.join(PERIODS)}, not by {unit!r}.")
    codes, names = pd.factorize(reporting["date"], sort=True)
    days = np.asarray(names, dtype="datetime64[D]")
    starts = {"day": days, "week": _mondays(days), "month": days.astype("datetime64[M]")}[unit]
    periods = pd.array(np.datetime_as_string(starts), dtype="str")[codes]
    return with_ratios(sum_by(reporting.assign(**{PERIODS[unit]: periods}), [PERIODS[unit]], SUMS))


def previous_window(start_date: str | date | None, end_date: str | date | None) -> tuple[str, str] | None:
    """Return the period of equal length that ends on the day before `start_date`; None without both dates.

    Raises InputError for an invalid date, or if the dates are reversed.
    """
    start, end = check_window(start_date, end_date)
    if not start or not end:
        return None
    first = date.fromisoformat(start)
    try:
        before = first - (date.fromisoformat(end) - first) - timedelta(days=1)
        return before.isoformat(), (first - timedelta(days=1)).isoformat()
    except OverflowError:  # before the year 1
        return None


def key_figures(
    visits: pd.DataFrame,
    earned: pd.DataFrame,
    tables: Tables,
    outcomes: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
) -> pd.DataFrame:
    """Compute the figures of "At a glance" and those of the previous period of equal length.

    Orders and their revenue belong to the orders of the dates, all other figures to the sessions of the dates. Cost
    whose session does not exist has no day: it is in the total spend without dates, and left out with dates. Daily
    spend without a session has a day, and is in the total spend. In: `visits_of` and
    `conversion_credits` over all days, the tables, and all stored `outcomes` (`conv_id, outcome`).

    Out: one row per figure: `figure, unit [a unit of the glossary], value, before, change [share; (value - before) /
    |before|], note [what the figure divides by, includes or leaves out]`. `before` and `change` are NaN without a
    previous period, and if sessions or orders do not reach back to its first day; for figures that depend on credit,
    also if an order of either period is neither credited nor unattributed. `UNPLACED` and `ALONE` have a row if they
    are not 0. Raises InputError for a missing column or an invalid date.
    """
    conversions, unplaced = tables.conversions, cost_without_session(tables.sessions, tables.costs)
    window = check_window(start_date, end_date)
    before = previous_window(*window)
    known = dict.fromkeys(UNITS, np.nan)
    columns = (visits.loc[visits["sessions"] > 0, "date"], conversions["conv_date"])
    if before and all(len(days) and str(days.min()) <= before[0] for days in columns):
        known |= _figures(visits, earned, conversions, before)
        if not all(_is_settled(conversions, outcomes, dates) for dates in (before, window)):
            known |= dict.fromkeys(ATTRIBUTED, np.nan)
    values = _figures(visits, earned, conversions, window, 0.0 if any(window) else unplaced)
    values |= {UNPLACED: unplaced}
    notes = _notes(conversions, window, unplaced)
    rows = [
        (name, unit, values[name], known[name], notes.get(name, ""))
        for name, unit in UNITS.items()
        if name not in (UNPLACED, ALONE) or values[name]
    ]
    table = pd.DataFrame(rows, columns=["figure", "unit", "value", "before", "note"])
    table.insert(4, "change", ratio(table["value"] - table["before"], table["before"].abs()))
    return table


def _notes(conversions: pd.DataFrame, window: Window, unplaced: float) -> dict[str, str]:
    rows = conversions[inside(conversions["conv_date"], *window)]
    refunds = total(-rows.loc[~is_purchase(rows), "revenue"])
    notes = {
        BLENDED: "revenue / total spend",
        CPO: "total spend / attributed orders",
        PAID: "leaves out channels without cost and untracked orders",
        ALONE: "in its channel and in the total spend",
    }
    if refunds:
        notes[REVENUE] = f"after refunds of {fixed(refunds, 2)}"
    if unplaced:
        notes[PAID] = "leaves out channels without cost, untracked orders and spend without a session"
        notes[UNPLACED] = "no day, so not in the total spend of these dates" if any(window) else "in the total spend"
        notes[SPEND] = "leaves out spend without a session" if any(window) else ""
    return notes


def with_incomplete(figures: pd.DataFrame, ages: pd.DataFrame) -> pd.DataFrame:
    """Suppress the change of figures whose credit is incomplete, and say so in the note.

    In: `key_figures`, and the `maturity` of the days of the dates. Out: the same rows. If some days are incomplete,
    `change` is NaN and `note` gives the reason for each figure that depends on credit and has a value for the previous
    period.
    """
    days = int(ages["is_immature"].sum())
    is_incomplete = figures["figure"].isin(ATTRIBUTED) & figures["before"].notna() & (days > 0)
    last = f"last {counted(days, 'day')}" if days > 1 else "last day"
    notes = figures["note"].tolist()
    for place in np.flatnonzero(is_incomplete):
        before = FORMATS[figures["unit"].iloc[place]](figures["before"].iloc[place])
        why = f"incomplete: {last} ({before} in the period before)"
        notes[place] = f"{why}; {notes[place]}" if notes[place] else why
    return figures.assign(change=figures["change"].mask(is_incomplete), note=pd.array(notes, dtype="str"))


def _figures(
    visits: pd.DataFrame, earned: pd.DataFrame, conversions: pd.DataFrame, window: Window, unplaced: float = 0.0
) -> dict[str, float]:
    orders = conversions[inside(conversions["conv_date"], *window)]
    summary = by_channel(visits, earned, start_date=window[0], end_date=window[1])
    whole = summary.iloc[-1]
    spend, revenue = float(whole["cost"]) + unplaced, total(orders["revenue"])
    channels = summary.iloc[:-1]
    paid = channels.loc[channels["cost"] > 0, ["cost", "ihc_revenue"]].sum()
    alone = visits[visits["sessions"] == 0]
    return {
        REVENUE: revenue,
        PLACED: float(is_purchase(orders).sum()),
        EARNED: float(whole["ihc_revenue"]),
        EARNED_ORDERS: float(whole["ihc"]),
        SPEND: spend,
        ALONE: total(alone.loc[inside(alone["date"], *window), "cost"]),
        CPO: spend / (float(whole["ihc"]) or np.nan),
        BLENDED: revenue / (spend or np.nan),
        PAID: float(paid["ihc_revenue"]) / (float(paid["cost"]) or np.nan),
    }


def _is_settled(conversions: pd.DataFrame, outcomes: pd.DataFrame, window: Window) -> bool:
    orders = conversions.loc[inside(conversions["conv_date"], *window), "conv_id"]
    return bool(isin(orders, outcomes.loc[outcomes["outcome"].isin(SETTLED), "conv_id"]).all())
