"""Conversion lag, incomplete days and their expected credit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ihc.analysis.reporting import NO_CREDIT, ratio
from ihc.arrays.lookup import get_indexer, isin
from ihc.arrays.sums import sum_by, sums
from ihc.arrays.types import Floats, Integers
from ihc.journeys.build import Spans
from ihc.schemas.refunds import is_purchase
from ihc.schemas.tables import require_columns

THRESHOLD = 0.05  # a day that is expected to gain more than this share of its credit is incomplete
LOOKBACK_SHARE, FEWEST_ORDERS = 0.95, 100  # of the credit, or of first orders, that a suggested lookback window keeps
ENDED = ("credited", "unattributed", "failed")


def credit_by_lag(earned: pd.DataFrame, conversions: pd.DataFrame) -> pd.DataFrame:
    """Sum the credit by conversion lag: the days from a session's date to its order's date.

    In: `conversion_credits` (`conv_id, date [the session's], ihc`), and the conversions. Out: one row per lag, from 0
    to the largest with credit: `lag [days], ihc [orders], share, cumulated [share of all credit]`; no rows without
    credit. A session dated after its order, for example after a correction of a table, counts with lag 0. Raises
    InputError for a missing column.
    """
    _, lags, credit = _placed(earned, conversions)
    by_lag = sums(lags, credit, int(lags.max(initial=-1)) + 1)
    whole = by_lag.sum() or np.nan
    return pd.DataFrame(
        {"lag": np.arange(len(by_lag)), "ihc": by_lag, "share": by_lag / whole, "cumulated": by_lag.cumsum() / whole}
    )


def complete_span(conversions: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[str, str] | None:
    """Return the first and last day of the latest run of days whose orders have all ended; None if there is none.

    In: the conversions, and `outcomes` (`conv_id, outcome`). An order that is waiting or has no outcome has not ended.
    """
    ended = outcomes.loc[outcomes["outcome"].isin(ENDED), "conv_id"]
    codes, days = pd.factorize(conversions["conv_date"], sort=True)
    waiting = np.bincount(codes, weights=~isin(conversions["conv_id"], ended), minlength=len(days))
    complete = np.flatnonzero(waiting == 0)
    if not len(complete):
        return None
    last = complete[-1]
    gaps = np.flatnonzero(waiting[:last])
    return str(days[gaps[-1] + 1 if len(gaps) else 0]), str(days[last])


def arrival(
    earned: pd.DataFrame, conversions: pd.DataFrame, *, last_day: str, first_day: str | None = None
) -> pd.DataFrame:
    """Estimate the share of a day's final credit that has arrived when the day is a given number of days old.

    Recent days cannot have long lags yet, so their credit is incomplete. The chain-ladder method extrapolates from
    earlier days: with C_i(d) the credit of day i up to lag d, the development factor f_d = Σ C_i(d) / Σ C_i(d - 1)
    covers the days that are at least d days old, and arrived(d) = 1 / Π_{k > d} f_k (Mack 1993, ASTIN Bulletin 23(2),
    213-225). As C_i(d) - C_i(d - 1) is the credit with lag d, both sums follow from the credit by lag and by age.
    Credit with a lag above the age of the oldest day with credit is not included.

    In: `conversion_credits` (`conv_id, date [the session's], ihc`), and the conversions. The orders from `first_day`
    (default: the first with credit) to `last_day` are credited; orders and sessions of other days are left out, because
    sessions before `first_day` lack the credit of earlier orders. Out: `age [days], arrived [share]`, one row per age
    from 0 to that of the oldest day with credit; no rows if no day is older than 0, because nothing can be estimated
    then. Raises InputError for a missing column.
    """
    days, lags, credit = _placed(earned, conversions)
    last = _day(last_day)
    first = _day(first_day) if first_day else (days + lags).min(initial=last)
    is_seen = (days >= first) & (days + lags <= last)
    ages, lags, credit = last - days[is_seen], lags[is_seen], credit[is_seen]
    oldest = int(ages.max(initial=0))
    if not oldest:
        return pd.DataFrame({"age": np.arange(0), "arrived": np.empty(0)})
    by_lag, by_age = (sums(values, credit, oldest + 1) for values in (lags, ages))
    # Σ C_i(d) over the days of age d or more: all credit up to lag d, minus that of younger days.
    developed = by_lag.cumsum() - (by_age.cumsum() - by_age)
    is_known = developed > NO_CREDIT
    before = np.divide(developed - by_lag, developed, out=np.ones(oldest + 1), where=is_known)  # 1 / f_d
    factors = np.where(before < NO_CREDIT, 0.0, before.clip(0.0, 1.0))
    arrived = np.append(factors[:0:-1].cumprod()[::-1], 1.0)
    return pd.DataFrame({"age": np.arange(oldest + 1), "arrived": arrived})


def maturity(daily: pd.DataFrame, arrivals: pd.DataFrame, *, last_day: str) -> pd.DataFrame:
    """Compute each day's share of credit that has arrived, and its expected credit and revenue.

    In: `date [the sessions'], ihc, ihc_revenue`, one or more rows per day, and `arrival` up to the same `last_day`.
    Out: one row per day, in time order: `date, age [days; NaN after last_day], arrived, still_to_come [share; 0 for
    days older than the estimate covers], ihc, ihc_expected [orders; ihc / arrived], ihc_revenue, ihc_revenue_expected
    [currency], is_immature [bool; incomplete: still_to_come > THRESHOLD, or after last_day]`. `arrived` and the columns
    derived from it are NaN without an estimate, and after last_day, when not all orders are credited. Raises InputError
    for a missing column.
    """
    require_columns(daily, ("date", "ihc", "ihc_revenue"), "daily")
    table = sum_by(daily, ["date"], ["ihc", "ihc_revenue"])
    ages = _day(last_day) - _days(table["date"])
    is_past = ages >= 0
    known = arrivals["arrived"].to_numpy("float64") if len(arrivals) else np.array([np.nan])
    arrived = pd.Series(np.where(is_past, known[ages.clip(0, len(known) - 1)], np.nan), index=table.index)
    table.insert(1, "age", np.where(is_past, ages, np.nan))
    table.insert(2, "arrived", arrived)
    table.insert(3, "still_to_come", 1 - arrived)
    table.insert(5, "ihc_expected", ratio(table["ihc"], arrived))
    # A day exactly at the threshold is complete, regardless of rounding.
    is_immature = (table["still_to_come"] > THRESHOLD + NO_CREDIT) | ~is_past
    return table.assign(ihc_revenue_expected=ratio(table["ihc_revenue"], arrived), is_immature=is_immature)


def immature_from(table: pd.DataFrame) -> str | None:
    """Return the first incomplete day; None if there is none. In: `maturity`."""
    days = table.loc[table["is_immature"], "date"]
    return str(days.min()) if len(days) else None


def lag_marks(lags: pd.DataFrame) -> dict[int, float]:
    """Return the first lags [days] with 50 % and 90 % of the credit, each with the share reached.

    In: `credit_by_lag` with at least one row.
    """
    reached = (lags.loc[lags["cumulated"] >= share - 1e-9].iloc[0] for share in (0.5, 0.9))
    return {int(row["lag"]): float(row["cumulated"]) for row in reached}


def lookback_of_credit(lags: pd.DataFrame) -> int | None:
    """Return the lookback window [days of 24 h] that keeps the sessions with LOOKBACK_SHARE of the credit.

    In: `credit_by_lag`. None if the credit of fewer than FEWEST_ORDERS is known, or if the window would keep all. As
    lags are calendar days, the window is one day longer than the lag.
    """
    if lags.empty or lags["ihc"].sum() < FEWEST_ORDERS - NO_CREDIT:
        return None
    lag = int(lags.loc[lags["cumulated"] >= LOOKBACK_SHARE - 1e-9, "lag"].iloc[0])
    return lag + 1 if lag < lags["lag"].iloc[-1] else None


def lookback_of_first_orders(spans: Spans) -> int | None:
    """Return the days of 24 h within which LOOKBACK_SHARE of users first order, counted from their first session.

    In: the spans of all conversions without a lookback window. Users whose first order has no session before it do not
    count; None if there are fewer than FEWEST_ORDERS others, or if all order within this time.
    """
    is_order = is_purchase(spans.conversions)
    _, first = np.unique(spans.buyer[is_order], return_index=True)
    place = np.flatnonzero(is_order)[first]
    place = place[spans.lengths[place] > 0]
    if len(place) < FEWEST_ORDERS:
        return None
    begun = spans.moment[spans.visit[spans.begin[place]]]
    waited = (spans.conversions["conv_timestamp"].to_numpy()[place] - begun) / np.timedelta64(1, "D")
    days = max(1, int(np.ceil(np.quantile(waited, LOOKBACK_SHARE, method="inverted_cdf"))))
    return days if waited.max() > days else None


def _placed(earned: pd.DataFrame, conversions: pd.DataFrame) -> tuple[Integers, Integers, Floats]:
    """Return the day of the session, the lag [days] and the credit [orders] of each row with credit."""
    require_columns(earned, ("conv_id", "date", "ihc"), "earned")
    require_columns(conversions, ("conv_id", "conv_date"), "conversions")
    place = get_indexer(earned["conv_id"], conversions["conv_id"])
    credit = earned["ihc"].to_numpy("float64")
    is_placed = (credit > 0) & (place >= 0)
    days = _days(earned["date"])[is_placed]
    ordered = _days(conversions["conv_date"])[place[is_placed]]
    return days, (ordered - days).clip(0), credit[is_placed]


def _days(dates: pd.Series[Any]) -> Integers:
    """Convert dates (YYYY-MM-DD) to days since 1970; each distinct date is parsed once."""
    codes, names = pd.factorize(dates)
    return np.asarray(names, dtype="datetime64[D]").astype("int64")[codes]


def _day(date: str) -> int:
    return int(np.datetime64(date, "D").astype("int64"))
