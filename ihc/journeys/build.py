"""Sessions + conversions -> journeys: which sessions led to which order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.arrays.lookup import argsort, break_ties, equals_previous, get_indexer, isin
from ihc.arrays.types import Integers
from ihc.errors import InputError
from ihc.formatting import counted, some
from ihc.journeys.limits import LONGEST_LOOKBACK
from ihc.schemas.refunds import purchase_indexer
from ihc.schemas.tables import COLUMNS, CONVERSIONS, FLAGS, JOURNEYS, SESSIONS, inside, require_columns, timestamps

# Measured on whole runs, at their widest: whatever the shop; for each row of its journeys; for each letter of its ids.
BYTES_OF_A_RUN, BYTES_A_ROW, BYTES_A_LETTER = 900_000_000, 800, 5


class Spans(NamedTuple):
    """Which sessions each conversion's journey holds, before any row of it is made.

    `conversions`: the chosen ones with `conv_timestamp [UTC; a refund's is its order's]`, by time, then id; `moment`
    [UTC] of each session; `visit`: the places of the sessions whose user has a conversion, by user, time and id;
    `user`: the number of each one's user; `begin`, `end`: where in `visit` each conversion's journey lies; `buyer`: the
    number of its user.
    """

    conversions: pd.DataFrame
    moment: npt.NDArray[np.datetime64]
    visit: Integers
    user: Integers
    begin: Integers
    end: Integers
    buyer: Integers

    @property
    def lengths(self) -> Integers:
        """How many sessions each conversion's journey has."""
        return self.end - self.begin

    def following(self) -> Integers:
        """The place of each conversion's next session: its user's first one after it; -1 where there is none."""
        at = np.append(self.visit, -1)[self.end]
        return np.where(np.append(self.user, -1)[self.end] == self.buyer, at, -1)


def build_journeys(
    sessions: pd.DataFrame,
    conversions: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    lookback_days: float | None = None,
    memory: int | None = None,
) -> pd.DataFrame:
    """Give each conversion all sessions of its user at or before its time.

    A refund has the journey of its order: the time is that of the order, see `refunds.purchase_indexer`.

    In: `sessions` and `conversions` with the tables' columns. `start_date` and `end_date` [YYYY-MM-DD, inclusive]
    choose conversions by `conv_date`; older sessions still belong to their journeys. `lookback_days` [24 h each]
    leaves out sessions before conversion time minus that. `memory` [bytes; None: any]: what is free, see
    `memory.free_memory`.

    Out: `journeys`, one row per (`conv_id`, `session_id`): `conv_id, session_id, user_id, timestamp [UTC],
    channel_name, holder_engagement, closer_engagement, impression_interaction [0/1], conversion [0/1],
    conv_timestamp [UTC], revenue [currency]`; conversions by time, then `conv_id`; sessions by time, then `session_id`.
    `conversion` is 1 on the last session only. A conversion without any session has no row.

    Raises InputError for a missing column, a wrong date, a `lookback_days` outside of 0 to 100,000, or journeys
    that need more than `memory`: it then names the user whose orders make most of their rows.
    """
    spans = find_spans(sessions, conversions, start_date=start_date, end_date=end_date, lookback_days=lookback_days)
    check_memory(spans, memory)
    conversions, visit, moment, lengths = spans.conversions, spans.visit, spans.moment, spans.lengths
    conversion = np.repeat(np.arange(len(conversions)), lengths)
    place = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths - spans.begin, lengths)
    is_last = np.zeros(len(place), dtype="int8")
    is_last[lengths.cumsum()[lengths > 0] - 1] = 1
    of_visits = {name: sessions[name].array for name in ("session_id", "channel_name", *FLAGS)} | {"timestamp": moment}
    of_conversions = {name: conversions[name].array for name in ("conv_id", "user_id", "conv_timestamp", "revenue")}
    # Half of the work is copying texts, for which one core mostly waits: two share the columns. Ids lie far apart until
    # they are brought together once; each journey is then a run of them, and runs are copied several times as fast.
    with ThreadPoolExecutor(2) as pool:
        copies = {name: pool.submit(lambda each: each.take(visit).take(place), of_visits[name]) for name in of_visits}
        copies |= {name: pool.submit(values.take, conversion) for name, values in of_conversions.items()}
        columns = {name: copy.result() for name, copy in copies.items()} | {"conversion": is_last}
    return pd.DataFrame({name: columns[name] for name in JOURNEYS}, copy=False)


def find_spans(
    sessions: pd.DataFrame,
    conversions: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    lookback_days: float | None = None,
) -> Spans:
    """Find which sessions each conversion's journey holds. In, and raises InputError: as `build_journeys`.

    The sessions are sorted by user, time and id. User and moment are packed into one integer key, so that one binary
    search a conversion finds each end of its journey.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    if lookback_days is not None and not 0 < lookback_days <= LONGEST_LOOKBACK:
        raise InputError(
            f"lookback_days is {lookback_days}: give a number above 0 and up to {LONGEST_LOOKBACK:,}, "
            "or None for sessions of any age."
        )
    moment = timestamps(sessions["event_date"], sessions["event_time"]).to_numpy()
    chosen = np.flatnonzero(inside(conversions["conv_date"], start_date, end_date))
    timed = conversions[["conv_date", "conv_time"]].take(purchase_indexer(conversions)[chosen])
    conv_timestamp = timestamps(timed["conv_date"], timed["conv_time"]).to_numpy()
    conversions = conversions.take(chosen).assign(conv_timestamp=conv_timestamp)
    conversions = conversions.take(argsort(conversions["conv_timestamp"].to_numpy(), conversions["conv_id"]))

    visitor, buyer = (get_indexer(frame["user_id"], conversions["user_id"]) for frame in (sessions, conversions))
    row = np.flatnonzero(visitor >= 0)
    moments, visit_moment = np.unique(moment[row], return_inverse=True)
    stride = len(moments) + 1
    key = visitor[row] * stride + visit_moment
    by_user = np.argsort(key)  # not stable, which would take three times as long: ties are broken by id
    key = key[by_user]
    visit = break_ties(row[by_user], equals_previous(key), sessions["session_id"])

    converted = conversions["conv_timestamp"].to_numpy()
    since = until = buyer * stride
    if lookback_days is not None:
        oldest = converted - np.timedelta64(round(lookback_days * 86_400_000_000), "us")
        since = since + np.searchsorted(moments, oldest, side="left")
    until = until + np.searchsorted(moments, converted, side="right")
    begin, end = np.searchsorted(key, since), np.searchsorted(key, until)
    return Spans(conversions, moment, visit, key // stride, begin, end, buyer)


def check_memory(spans: Spans, memory: int | None) -> None:
    """Raise InputError where a run on these journeys would need more than `memory` [bytes; None: any], and name whose.

    What a run needs at its widest goes by the rows of its journeys and the lengths of their ids. Where the journeys fit
    into half of what is free, they are not to blame for a lack of it, and nothing is refused.
    """
    rows = int(spans.lengths.sum())
    of_rows = rows * (BYTES_A_ROW + BYTES_A_LETTER * _letters(spans)) if rows else 0
    needed = BYTES_OF_A_RUN + of_rows
    if memory is None or memory >= min(needed, 2 * of_rows):
        return
    user = rows_by_user(spans).iloc[0]
    raise InputError(
        f"The journeys would have {rows:,} rows; a run would need {needed / 1e9:,.1f} GB of memory, and "
        f"{memory / 1e9:,.1f} GB are free. User {some([user['user_id']])} makes {user['rows']:,} of the rows: "
        f"{counted(user['orders'], 'order')}, each with all sessions of that user before it. If many people share "
        "this id, `ihc check` says what to do. Otherwise choose fewer days (--start-date, --end-date) or a shorter "
        "lookback window (--lookback-days)."
    )


def _letters(spans: Spans) -> float:
    """The mean length of the ids of a conversion and its user; a session's is taken to be as long as a conversion's."""
    conversion, user = (spans.conversions[name].str.len().mean() for name in ("conv_id", "user_id"))
    return float(2 * conversion + user)


def rows_by_user(spans: Spans) -> pd.DataFrame:
    """Count what each buyer has: `user_id, orders, sessions, rows [count, of journeys]`, most rows first."""
    conversions, rows = (np.bincount(spans.buyer, weights=each) for each in (None, spans.lengths))
    place = np.flatnonzero(conversions)  # a user's number is the place of their first conversion
    sessions = np.bincount(spans.user, minlength=len(conversions))
    counts = {"orders": conversions, "sessions": sessions, "rows": rows}
    table = pd.DataFrame({name: values[place].astype("int64") for name, values in counts.items()})
    table.insert(0, "user_id", spans.conversions["user_id"].array.take(place))
    return table.sort_values("rows", ascending=False, kind="stable", ignore_index=True)


def unattributed(conversions: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    """The conversions that have no session at all, with the columns of `conversions`."""
    return conversions[~isin(conversions["conv_id"], journeys["conv_id"])]


def non_converting_paths(
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
    idle = np.flatnonzero(~isin(sessions["user_id"], conversions["user_id"]))
    idle = idle[np.argsort(moment[idle], kind="stable")]
    last = sessions.take(idle[~sessions["user_id"].take(idle).duplicated(keep="last")])
    ends = last[["user_id"]].assign(
        conv_id=last["user_id"], conv_date=last["event_date"], conv_time=last["event_time"], revenue=0.0
    )
    paths = build_journeys(sessions, ends, start_date=start_date, end_date=end_date, lookback_days=lookback_days)
    return paths[["user_id", "session_id", "timestamp", "channel_name"]]
