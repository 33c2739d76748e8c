"""Sessions + conversions -> journeys: which sessions led to which order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.errors import InputError
from ihc.ids import by_id_where_equal, in_order, is_among, places, repeats
from ihc.schemas import (
    COLUMNS,
    CONVERSIONS,
    FLAGS,
    JOURNEYS,
    SESSIONS,
    inside,
    require_columns,
    timestamps,
)

LONGEST_LOOKBACK = 100_000

Integers = npt.NDArray[np.int64]


def build_journeys(
    sessions: pd.DataFrame,
    conversions: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    lookback_days: float | None = None,
) -> pd.DataFrame:
    """Give each conversion all sessions of its user at or before its time.

    In: `sessions` and `conversions` with the tables' columns. `start_date` and `end_date` [YYYY-MM-DD, inclusive]
    choose conversions by `conv_date`; older sessions still belong to their journeys. `lookback_days` [24 h each]
    leaves out sessions before conversion time minus that.

    Out: `journeys`, one row per (`conv_id`, `session_id`): `conv_id, session_id, user_id, timestamp [UTC],
    channel_name, holder_engagement, closer_engagement, impression_interaction [0/1], conversion [0/1],
    conv_timestamp [UTC], revenue [currency]`; conversions by time, then `conv_id`; sessions by time, then `session_id`.
    `conversion` is 1 on the last session only. A conversion without any session has no row.

    Raises InputError for a missing column, a wrong date or a `lookback_days` outside of 0 to 100,000.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    if lookback_days is not None and not 0 < lookback_days <= LONGEST_LOOKBACK:
        raise InputError(
            f"lookback_days is {lookback_days}: give a number above 0 and up to {LONGEST_LOOKBACK:,}, "
            "or None for sessions of any age."
        )

    moment = timestamps(sessions["event_date"], sessions["event_time"]).to_numpy()
    orders = conversions[inside(conversions["conv_date"], start_date, end_date)]
    orders = orders.assign(conv_timestamp=timestamps(orders["conv_date"], orders["conv_time"]))
    orders = orders.take(in_order(orders["conv_timestamp"].to_numpy(), orders["conv_id"]))
    visit, begin, end = _spans(sessions, moment, orders, lookback_days)

    lengths = end - begin
    order = np.repeat(np.arange(len(orders)), lengths)
    place = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths - begin, lengths)
    is_last = np.zeros(len(place), dtype="int8")
    is_last[lengths.cumsum()[lengths > 0] - 1] = 1
    of_visits = {name: sessions[name].array for name in ("session_id", "channel_name", *FLAGS)} | {"timestamp": moment}
    of_orders = {name: orders[name].array for name in ("conv_id", "user_id", "conv_timestamp", "revenue")}
    # Half of the work is copying texts, for which one core mostly waits: two share the columns. Ids lie far apart until
    # they are brought together once; each journey is then a run of them, and runs are copied several times as fast.
    with ThreadPoolExecutor(2) as pool:
        copies = {name: pool.submit(lambda each: each.take(visit).take(place), of_visits[name]) for name in of_visits}
        copies |= {name: pool.submit(of_orders[name].take, order) for name in of_orders}
        columns = {name: copy.result() for name, copy in copies.items()} | {"conversion": is_last}
    return pd.DataFrame({name: columns[name] for name in JOURNEYS}, copy=False)


def _spans(
    sessions: pd.DataFrame, moment: npt.NDArray[np.datetime64], orders: pd.DataFrame, lookback_days: float | None
) -> tuple[Integers, Integers, Integers]:
    """Put the sessions in order by user, time and id, and find, for each order, the run of them that is its journey.

    Out: the places of the sessions in that order, of those only whose user has an order; and where in it each order's
    journey begins and ends. User and moment are packed into one integer key, so that one binary search an order finds
    each end.
    """
    visit_user, order_user = (places(frame["user_id"], orders["user_id"]) for frame in (sessions, orders))
    row = np.flatnonzero(visit_user >= 0)
    moments, visit_moment = np.unique(moment[row], return_inverse=True)
    stride = len(moments) + 1
    key = visit_user[row] * stride + visit_moment
    by_user = np.argsort(key)  # not stable, which would take three times as long: what is equal is put in order by id
    key = key[by_user]
    visit = by_id_where_equal(row[by_user], repeats(key), sessions["session_id"])

    order_time = orders["conv_timestamp"].to_numpy()
    until = order_user * stride + np.searchsorted(moments, order_time, side="right")
    since = order_user * stride
    if lookback_days is not None:
        oldest = order_time - np.timedelta64(round(lookback_days * 86_400_000_000), "us")
        since = since + np.searchsorted(moments, oldest, side="left")
    return visit, np.searchsorted(key, since), np.searchsorted(key, until)


def unattributed(conversions: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    """The conversions that have no session at all, with the columns of `conversions`."""
    return conversions[~is_among(conversions["conv_id"], journeys["conv_id"])]


def idle_paths(
    sessions: pd.DataFrame,
    conversions: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    lookback_days: float | None = None,
) -> pd.DataFrame:
    """The paths that led to no conversion: all sessions of each user that has none, at any date.

    In: as for `build_journeys`, with the user's last session in the place of the conversion: `start_date` and
    `end_date` choose users by its day, older sessions still belong to their paths, and `lookback_days` counts back
    from it.

    Out: `user_id, session_id, timestamp [UTC], channel_name`, one row a session; users by the time of their last
    session, then `user_id`; sessions by time, then `session_id`.

    Sessions after a user's last conversion are in no path: a journey holds all of its user's sessions from the first
    on, and such a rest would be a path that begins in its middle.

    Raises InputError as `build_journeys` does.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    moment = timestamps(sessions["event_date"], sessions["event_time"]).to_numpy()
    idle = np.flatnonzero(~is_among(sessions["user_id"], conversions["user_id"]))
    idle = idle[np.argsort(moment[idle], kind="stable")]
    last = sessions.take(idle[~sessions["user_id"].take(idle).duplicated(keep="last")])
    ends = pd.DataFrame(
        {
            "conv_id": last["user_id"],
            "user_id": last["user_id"],
            "conv_date": last["event_date"],
            "conv_time": last["event_time"],
            "revenue": 0.0,
        }
    )
    paths = build_journeys(sessions, ends, start_date=start_date, end_date=end_date, lookback_days=lookback_days)
    return paths[["user_id", "session_id", "timestamp", "channel_name"]]
