"""Implausible times: differing clocks, truncated times, distant dates, duplicates."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.arrays.lookup import equals_previous
from ihc.arrays.types import Booleans, Integers
from ihc.formatting import counted, dated, fixed, listed
from ihc.journeys.build import Spans
from ihc.quality.findings import LIST, Advice, Finding, Shop
from ihc.quality.sql import seconds
from ihc.schemas.refunds import is_purchase, purchases
from ihc.schemas.tables import CONVERSIONS, SESSIONS, has_user

LONGEST_BREAK = 730  # days; a longer gap without rows separates two groups of days
CHANCE = 0.01  # below this share of the orders, such times can be chance
SHORTLY = 300  # seconds
ALWAYS = 0.9  # if at least this share of the times is on full minutes, seconds were cut off
AT_ONCE = "user_id, event_date, substr(CAST(event_time AS TEXT), 1, 8)"
AGAIN = "user_id, revenue, conv_date, substr(CAST(conv_time AS TEXT), 1, 5)"
SET_LATER = "To set their time to that of the session"
SHORTLY_AFTER = Advice(
    "The session gets no credit for the order; the clocks of shop and tracking may differ.",
    SET_LATER,
    f"UPDATE {CONVERSIONS} SET conv_time = later.event_time FROM (SELECT conv_id, max(event_time) AS event_time "
    f"FROM {CONVERSIONS} JOIN {SESSIONS} ON {SESSIONS}.user_id = {CONVERSIONS}.user_id AND event_date = conv_date "
    f"AND {seconds('event_time')} - ({seconds('conv_time')}) BETWEEN 0 AND {SHORTLY} GROUP BY conv_id) AS later "
    f"WHERE later.conv_id = {CONVERSIONS}.conv_id",
)
MIDNIGHT = Advice(
    "Sessions of the same day get no credit for them; the time of day may be missing.",
    "To count the sessions of the same day",
    f"UPDATE {CONVERSIONS} SET conv_time = '23:59:59' WHERE CAST(conv_time AS TEXT) LIKE '00:00:00%'",
)
FULL_MINUTES = Advice(
    "Sessions of the same minute get no credit for them; the seconds may be missing.",
    "To count the sessions of the same minute",
    f"UPDATE {CONVERSIONS} SET conv_time = substr(conv_time, 1, 6) || '59' "
    "WHERE substr(conv_time, 7, 2) = '00' AND conv_time NOT LIKE '00:00:00%'",
)
ONLY_LATER = Advice(
    "They count as untracked; clocks or time zones of shop and tracking may differ.",
    SET_LATER,
    f"UPDATE {CONVERSIONS} SET conv_time = substr(visit.moment, 12) FROM (SELECT user_id, "
    f"min(event_date || ' ' || event_time) AS moment FROM {SESSIONS} GROUP BY user_id) AS visit "
    f"WHERE visit.user_id = {CONVERSIONS}.user_id AND substr(visit.moment, 1, 10) = conv_date "
    "AND substr(visit.moment, 12) > conv_time",
)
SAME_SECOND = Advice(
    "The customer journey has them in the order of their ids.",
    LIST,
    f"SELECT * FROM {SESSIONS} WHERE ({AT_ONCE}) IN (SELECT {AT_ONCE} FROM {SESSIONS} GROUP BY {AT_ONCE} "
    f"HAVING count(DISTINCT channel_name) > 1) AND user_id IN (SELECT user_id FROM {CONVERSIONS})",
)
TWICE = Advice(
    "They may be duplicates of one order.",
    "To list them with their duplicates",
    f"SELECT * FROM {CONVERSIONS} WHERE ({AGAIN}) IN (SELECT {AGAIN} FROM {CONVERSIONS} GROUP BY {AGAIN} "
    "HAVING count(*) > 1)",
)


def far_days(days: pd.Series[Any]) -> pd.Series[bool]:
    """Mark days far away from most rows, such as 0001-01-01 and 9999-12-31.

    A gap of more than two years without rows separates two groups of days. All groups except the largest (the latest of
    equals) are far.

    In: days `YYYY-MM-DD`, one per row. Out: a mask with the same index.
    """
    codes, distinct = pd.factorize(days, sort=True)
    if not len(distinct):
        return pd.Series(False, index=days.index)
    number: Integers = np.asarray(distinct, dtype="datetime64[D]").astype("int64")
    group = np.cumsum(np.diff(number, prepend=number[:1]) > LONGEST_BREAK)
    rows = np.bincount(group, weights=np.bincount(codes, minlength=len(distinct)))
    main = len(rows) - 1 - int(rows[::-1].argmax())
    return pd.Series((group != main)[codes], index=days.index)


def far_dates(*columns: pd.Series[Any]) -> list[str]:
    """Return the far days in time order. In: columns of days `YYYY-MM-DD`; the rows of all columns count."""
    days = pd.concat(columns, ignore_index=True)
    return sorted(days[far_days(days)].unique())


def without(frame: pd.DataFrame, column: str, days: Collection[str]) -> pd.DataFrame:
    """Drop the rows whose `column` is one of `days`."""
    return frame[~frame[column].isin(days)] if days else frame


def clock_findings(shop: Shop, shared: Collection[object]) -> list[Finding]:
    """Find implausible times. In: `shared`, user ids of several people, whose times can coincide."""
    return [
        *_conversion_findings(shop, shared),
        *_far_findings(shop),
        _same_second_finding(shop, shared),
        _twice_finding(shop, shared),
    ]


def _conversion_findings(shop: Shop, shared: Collection[object]) -> list[Finding]:
    spans, conversions = shop.spans, shop.spans.conversions
    gap, is_sale = _until_next_session(spans), is_purchase(conversions)
    is_shortly = is_sale & (gap <= np.timedelta64(SHORTLY, "s")) & ~conversions["user_id"].isin(shared).to_numpy()
    is_midnight = is_sale & conversions["conv_time"].str.startswith("00:00:00").to_numpy()
    is_timed = is_sale & ~is_midnight
    is_cut = is_timed & _on_minute(conversions["conv_time"])
    is_cut &= is_cut.sum() >= max(2, ALWAYS * is_timed.sum())
    if is_cut.any() and _on_minute(shop.tables.sessions["event_time"]).mean() > 0.5:
        is_cut[:] = False  # sessions are cut off too, so seconds do not change the order of times
    found = {
        "followed by a session of their user within 5 minutes": (_if_many(is_shortly), SHORTLY_AFTER),
        "at 00:00:00": (_if_many(is_midnight), MIDNIGHT),
        "with times cut to the minute": (is_cut, FULL_MINUTES),
        "without a session before, but with one later on the same day": (
            is_sale & (spans.lengths == 0) & _is_day_of_next_session(shop),
            ONLY_LATER,
        ),
    }
    return [
        shop.of_conversions(what, conversions[is_found], shop.timed(advice, conversions[is_found]))
        for what, (is_found, advice) in found.items()
    ]


def _is_day_of_next_session(shop: Shop) -> Booleans:
    """Mark the conversions on the day of their user's next session."""
    days = shop.tables.sessions["event_date"].array.take(shop.spans.following(), allow_fill=True)
    is_same: Booleans = (shop.spans.conversions["conv_date"].reset_index(drop=True) == days).to_numpy("bool")
    return is_same


def _until_next_session(spans: Spans) -> npt.NDArray[np.timedelta64]:
    """Return the time from each order to its user's next session; NaT if there is none."""
    moment = np.append(spans.moment, np.datetime64("NaT"))[spans.following()]
    gap: npt.NDArray[np.timedelta64] = moment - spans.conversions["conv_timestamp"].to_numpy()
    return gap


def _on_minute(times: pd.Series[str]) -> Booleans:
    return times.str.slice(6, 8).eq("00").to_numpy()


def _if_many(is_found: Booleans) -> Booleans:
    """Return the marks, or none if there are so few that they can be chance."""
    return is_found & (is_found.mean() >= CHANCE if len(is_found) else False)


def _far_findings(shop: Shop) -> list[Finding]:
    sessions, conversions, _ = shop.tables
    days = pd.concat([sessions["event_date"], conversions["conv_date"]], ignore_index=True)
    is_far = far_days(days).to_numpy()
    first, last = (days[~is_far].min(), days[~is_far].max()) if len(days) else ("", "")
    consequence = f"Their dates may be wrong; all others are from {dated(first)} to {dated(last)}."
    return [
        shop.of_sessions(
            "years away from all other days",
            sessions[is_far[: len(sessions)]],
            Advice(consequence, LIST, f"SELECT * FROM {SESSIONS} WHERE event_date NOT BETWEEN '{first}' AND '{last}'"),
        ),
        shop.of_conversions(
            "years away from all other days",
            conversions[is_far[len(sessions) :]],
            Advice(consequence, "To leave them out of a run", f"--start-date {first} --end-date {last}"),
        ),
    ]


def _same_second_finding(shop: Shop, shared: Collection[object]) -> Finding:
    """Find sessions of one buyer in the same second on different channels."""
    spans = shop.spans
    second = spans.moment[spans.visit].astype("datetime64[s]")
    is_same = equals_previous(spans.user) & equals_previous(second)
    rows = np.flatnonzero(is_same | np.append(is_same[1:], False)[: len(is_same)])
    found = shop.tables.sessions.take(spans.visit[rows])
    group = (~is_same[rows]).cumsum()
    is_mixed = found["channel_name"].groupby(group).transform("nunique").to_numpy() > 1
    is_mixed &= ~found["user_id"].isin(shared).to_numpy()
    return shop.of_sessions("of one buyer in the same second on different channels", found[is_mixed], SAME_SECOND)


def _twice_finding(shop: Shop, shared: Collection[object]) -> Finding:
    conversions = purchases(shop.spans.conversions)
    conversions = conversions[has_user(conversions) & ~conversions["user_id"].isin(shared)]
    minute = conversions["conv_timestamp"].dt.floor("min")
    is_again = conversions.assign(minute=minute).duplicated(["user_id", "revenue", "minute"])
    return shop.of_conversions("of the same user, amount and minute as another", conversions[is_again], TWICE)


def far_sentence(rows: pd.DataFrame, orders: pd.DataFrame, days: Collection[str]) -> str:
    """Say what charts and tables over time leave out because of far days; empty if nothing.

    In: `channel_reporting` and the conversions of the reported dates, and the `far_dates`.
    """
    sums, placed = rows[rows["date"].isin(days)], orders[orders["conv_date"].isin(days)]
    named = sorted({*sums["date"], *placed["conv_date"]})
    if not named:
        return ""
    which = "1 day that lies" if len(named) == 1 else f"{fixed(len(named))} days that lie"
    return (
        f"Charts and tables over time leave out {which} years apart from all others "
        f"({listed([dated(day) for day in named], 5)}): {fixed(sums['cost'].sum(), 2)} of spend, "
        f"{fixed(sums['ihc_revenue'].sum(), 2)} of attributed revenue and {counted(len(placed), 'order')}. "
        "All totals include them."
    )
