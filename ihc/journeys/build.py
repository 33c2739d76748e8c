"""Build customer journeys from sessions and conversions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.arrays.lookup import argsort, break_ties, equals_previous, factorize, get_indexer, isin, lookup
from ihc.arrays.types import Integers
from ihc.errors import InputError
from ihc.formatting import counted, some
from ihc.journeys.limits import LONGEST_LOOKBACK
from ihc.schemas.refunds import is_purchase, purchase_indexer, purchases
from ihc.schemas.tables import (
    COLUMNS,
    CONV,
    CONV_UTC,
    CONVERSIONS,
    EVENT,
    EVENT_UTC,
    FLAGS,
    JOURNEYS,
    SESSIONS,
    check_clocks,
    has_user,
    inside,
    moments,
    require_columns,
)

UNATTRIBUTED, NO_NEW_SESSION = "unattributed", "no session since the previous order"
# Peak memory, measured on whole runs: fixed; per journey row; per character of its ids.
BYTES_OF_A_RUN, BYTES_A_ROW, BYTES_A_LETTER = 900_000_000, 800, 5


class Spans(NamedTuple):
    """The sessions in each conversion's journey, as ranges, before any journey row is created.

    `conversions`: the selected conversions, sorted by time, then id, with `conv_timestamp [UTC; of a refund, the time
    of its order]`; `moment` [UTC]: the time of each session; `visit`: the positions of the sessions whose user has a
    conversion, sorted by user, time and id; `user`: the user number of each of them; `begin`, `end`: the range in
    `visit` of each conversion's journey; `buyer`: the user number of each conversion.
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
        """The number of sessions in each conversion's journey."""
        return self.end - self.begin

    def following(self) -> Integers:
        """Return the position of the user's first session after each conversion, or -1 if there is none."""
        at = np.append(self.visit, -1)[self.end]
        return np.where(np.append(self.user, -1)[self.end] == self.buyer, at, -1)


def build_journeys(  # noqa: PLR0913 - the two tables, and one argument per setting
    sessions: pd.DataFrame,
    conversions: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    lookback_days: float | None = None,
    restart_after_order: bool = False,
    memory: int | None = None,
) -> pd.DataFrame:
    """Build one customer journey per conversion: all sessions of its user up to its time.

    A refund gets the journey of its order: the order's time counts, see `refunds.purchase_indexer`. Sessions without a
    user are in no journey, and conversions without a user have none.

    Parameters
    ----------
    sessions : DataFrame
        The table of sessions: `session_id, user_id, event_date, event_time, channel_name, holder_engagement,
        closer_engagement, impression_interaction [0/1]`, optionally `event_utc`, which then gives their time.
    conversions : DataFrame
        The table of conversions: `conv_id, user_id, conv_date, conv_time, revenue [currency]`, optionally `refund_of`,
        and `conv_utc` if the sessions have `event_utc`.
    start_date, end_date : str or date, optional
        Select conversions by `conv_date` [YYYY-MM-DD, inclusive]. Older sessions still belong to their journeys.
    lookback_days : float, optional
        The lookback window [days of 24 h]: sessions older than this at the time of the conversion are left out.
        Default: no limit.
    restart_after_order : bool, optional
        Whether a new journey starts after an order: sessions up to the user's last order are left out. Orders at the
        same time have the same journey; a refund has the journey of its order, and without one all earlier sessions.
        Previous orders are those of all `conversions`, on any day. Default: each order has all earlier sessions.
    memory : int, optional
        The free memory [bytes], see `memory.free_memory`. Default: no check.

    Returns
    -------
    DataFrame
        The journeys, one row per (`conv_id`, `session_id`): `conv_id, session_id, user_id, timestamp [UTC],
        channel_name, holder_engagement, closer_engagement, impression_interaction [0/1], conversion [0/1],
        conv_timestamp [UTC], revenue [currency]`; conversions by time, then `conv_id`; sessions by time, then
        `session_id`. `conversion` is 1 on the last session only. A conversion without sessions has no row.

    Raises
    ------
    InputError
        For a missing column, an invalid date, or a `lookback_days` outside 0 to 100,000. Also if the journeys need more
        than `memory`; the message names the user whose orders create the most rows.

    Examples
    --------
    >>> import pandas as pd
    >>> import ihc
    >>> flags = {"holder_engagement": 1, "closer_engagement": 1, "impression_interaction": 0}
    >>> sessions = pd.DataFrame(
    ...     {
    ...         "session_id": ["s1", "s2", "s3"],
    ...         "user_id": "u",
    ...         "event_date": ["2023-09-01", "2023-09-02", "2023-09-03"],
    ...         "event_time": "12:00:00",
    ...         "channel_name": ["Search", "Mail", "Search"],
    ...     }
    ... ).assign(**flags)
    >>> conversions = pd.DataFrame(
    ...     {"conv_id": ["c"], "user_id": "u", "conv_date": "2023-09-02", "conv_time": "13:00:00", "revenue": 80.0}
    ... )
    >>> ihc.build_journeys(sessions, conversions)[["conv_id", "session_id", "channel_name", "conversion"]]
      conv_id session_id channel_name  conversion
    0       c         s1       Search           0
    1       c         s2         Mail           1

    """
    rules: dict[str, Any] = {"lookback_days": lookback_days, "restart_after_order": restart_after_order}
    spans = find_spans(sessions, conversions, start_date=start_date, end_date=end_date, **rules)
    check_memory(spans, memory)
    conversions, visit, moment, lengths = spans.conversions, spans.visit, spans.moment, spans.lengths
    conversion = np.repeat(np.arange(len(conversions)), lengths)
    place = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths - spans.begin, lengths)
    is_last = np.zeros(len(place), dtype="int8")
    is_last[lengths.cumsum()[lengths > 0] - 1] = 1
    of_visits = {name: sessions[name].array for name in ("session_id", "channel_name", *FLAGS)} | {"timestamp": moment}
    of_conversions = {name: conversions[name].array for name in ("conv_id", "user_id", "conv_timestamp", "revenue")}
    # Half of the work is copying texts, which is bound by memory access, so two threads share the columns. Taking the
    # visits first makes the ids of a journey adjacent; adjacent ids are copied several times as fast.
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
    restart_after_order: bool = False,
) -> Spans:
    """Find the sessions of each conversion's journey. In, and raises InputError: as `build_journeys`.

    Sessions are sorted by user, time and id. User and time are packed into one integer key, so that one binary search
    per conversion finds each end of its journey.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    if lookback_days is not None and not 0 < lookback_days <= LONGEST_LOOKBACK:
        raise InputError(
            f"lookback_days is {lookback_days}: give a number above 0 and up to {LONGEST_LOOKBACK:,}, "
            "or None for no lookback window."
        )
    check_clocks(sessions, conversions)
    moment = moments(sessions, EVENT).to_numpy()
    chosen = np.flatnonzero(inside(conversions["conv_date"], start_date, end_date))
    every, orders = conversions, conversions.take(purchase_indexer(conversions)[chosen])
    conversions = conversions.take(chosen).assign(conv_timestamp=moments(orders, CONV).to_numpy())
    by_time = argsort(conversions["conv_timestamp"].to_numpy(), conversions["conv_id"])
    conversions = conversions.take(by_time)

    visitor, buyer = (get_indexer(frame["user_id"], conversions["user_id"]) for frame in (sessions, conversions))
    is_buyer = has_user(conversions)
    buyer = np.where(is_buyer, buyer, np.arange(len(buyer)))
    row = np.flatnonzero((visitor >= 0) & np.append(is_buyer, False)[visitor])
    distinct, visit_moment = np.unique(moment[row], return_inverse=True)
    stride = len(distinct) + 1
    key = visitor[row] * stride + visit_moment
    by_user = np.argsort(key)  # a stable sort would take three times as long; ties are broken by id below
    key = key[by_user]
    visit = break_ties(row[by_user], equals_previous(key), sessions["session_id"])

    converted = conversions["conv_timestamp"].to_numpy()
    since = until = buyer * stride
    if lookback_days is not None:
        oldest = converted - np.timedelta64(round(lookback_days * 86_400_000_000), "us")
        since = since + np.searchsorted(distinct, oldest, side="left")
    until = until + np.searchsorted(distinct, converted, side="right")
    if restart_after_order:
        previous = _previous_orders(every, conversions, buyer)
        begun = buyer * stride + np.searchsorted(distinct, previous, side="right")
        is_begun = ~np.isnat(previous) & is_purchase(orders)[by_time]
        since = np.where(is_begun, np.maximum(since, begun), since)
    begin, end = np.searchsorted(key, since), np.searchsorted(key, until)
    return Spans(conversions, moment, visit, key // stride, begin, end, buyer)


def _previous_orders(every: pd.DataFrame, conversions: pd.DataFrame, buyer: Integers) -> npt.NDArray[np.datetime64]:
    """Return the time of the last order of the same user before each conversion; NaT if there is none.

    In: all conversions; the selected ones with `conv_timestamp`, and the user number of each of them.
    """
    orders = purchases(every)
    at, place = np.unique(moments(orders, CONV).to_numpy(), return_inverse=True)
    number, stride = get_indexer(orders["user_id"], conversions["user_id"]), len(at) + 1
    key = np.sort((number * stride + place)[number >= 0])
    before = np.searchsorted(at, conversions["conv_timestamp"].to_numpy(), side="left")
    last = np.append(key, -1)[np.searchsorted(key, buyer * stride + before) - 1]
    times = np.append(at, np.datetime64("NaT"))[last % stride]
    return np.where(last // stride == buyer, times, np.datetime64("NaT"))


def without_new_session(
    sessions: pd.DataFrame, conversions: pd.DataFrame, *, restart_after_order: bool = False, **rules: Any
) -> pd.DataFrame:
    """Find the conversions that are untracked only because journeys restart after an order.

    In: as `find_spans`. Out: `conv_id, outcome, reason`; empty unless `restart_after_order`.
    """
    restarts = (False, True) if restart_after_order else ()
    spans = [find_spans(sessions, conversions, restart_after_order=is_restarted, **rules) for is_restarted in restarts]
    empty = conversions["conv_id"].iloc[:0]
    ids = spans[0].conversions["conv_id"][(spans[1].lengths == 0) & (spans[0].lengths > 0)] if spans else empty
    return pd.DataFrame({"conv_id": ids.array, "outcome": UNATTRIBUTED, "reason": NO_NEW_SESSION}, dtype="str")


def check_memory(spans: Spans, memory: int | None) -> None:
    """Raise InputError if a run on these journeys would need more than `memory` [bytes; None: no limit].

    The peak memory of a run depends on the number of journey rows and the length of the ids. If the journeys fit into
    half of the free memory, they are not the cause of a shortage, and no error is raised. The message names the user
    with the most rows.
    """
    rows = int(spans.lengths.sum())
    of_rows = rows * (BYTES_A_ROW + BYTES_A_LETTER * _letters(spans)) if rows else 0
    needed = BYTES_OF_A_RUN + of_rows
    if memory is None or memory >= min(needed, 2 * of_rows):
        return
    user = rows_by_user(spans).iloc[0]
    raise InputError(
        f"The journeys would have {rows:,} rows; a run would need {needed / 1e9:,.1f} GB of memory, and "
        f"{memory / 1e9:,.1f} GB are free. User {some([user['user_id']])} accounts for {user['rows']:,} of the rows: "
        f"{counted(user['orders'], 'order')}, each with all earlier sessions of that user. If several people share "
        "this id, run `ihc check` for a remedy. Otherwise choose fewer days (--start-date, --end-date) or a shorter "
        "lookback window (--lookback-days)."
    )


def _letters(spans: Spans) -> float:
    """The mean total length of the ids in a row; session ids are assumed to be as long as conversion ids."""
    conversion, user = (spans.conversions[name].str.len().mean() for name in ("conv_id", "user_id"))
    return float(2 * conversion + user)


def rows_by_user(spans: Spans) -> pd.DataFrame:
    """Count per buyer: `user_id, orders, sessions, rows [count, of journeys]`, most rows first."""
    conversions, rows = (np.bincount(spans.buyer, weights=each) for each in (None, spans.lengths))
    place = np.flatnonzero(conversions)  # a user's number is the position of their first conversion
    sessions = np.bincount(spans.user, minlength=len(conversions))
    counts = {"orders": conversions, "sessions": sessions, "rows": rows}
    table = pd.DataFrame({name: values[place].astype("int64") for name, values in counts.items()})
    table.insert(0, "user_id", spans.conversions["user_id"].array.take(place))
    return table.sort_values("rows", ascending=False, kind="stable", ignore_index=True)


def unattributed(conversions: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    """Return the conversions without any session, with the columns of `conversions`."""
    return conversions[~isin(conversions["conv_id"], journeys["conv_id"])]


def non_converting_paths(
    sessions: pd.DataFrame,
    conversions: pd.DataFrame,
    *,
    start_date: str | date | None = None,
    end_date: str | date | None = None,
    lookback_days: float | None = None,
    restart_after_order: bool = False,
) -> pd.DataFrame:
    """Return the paths without a conversion: all sessions of each user who never converted.

    Sessions without a user are in no path.

    In: as for `build_journeys`, with the user's last session in place of the conversion: `start_date` and `end_date`
    select users by its day, older sessions still belong to their paths, and `lookback_days` counts back from it.

    Out: `user_id, session_id, timestamp [UTC], channel_name`, one row per session; users by the time of their last
    session, then `user_id`; sessions by time, then `session_id`.

    Sessions after a user's last conversion belong to no path. A journey holds all earlier sessions of its user, so the
    remaining ones would form a path that starts in the middle. With `restart_after_order` they are a path.

    Raises InputError as `build_journeys` does.
    """
    require_columns(sessions, COLUMNS[SESSIONS], "sessions")
    require_columns(conversions, COLUMNS[CONVERSIONS], "conversions")
    moment = moments(sessions, EVENT).to_numpy()
    is_idle = ~isin(sessions["user_id"], conversions["user_id"])
    if restart_after_order:
        is_idle |= moment > last_orders(sessions["user_id"], conversions)
        sessions, moment = sessions[is_idle], moment[is_idle]
        is_idle = is_idle[is_idle]
    idle = np.flatnonzero(is_idle & has_user(sessions))
    idle = idle[np.argsort(moment[idle], kind="stable")]
    last = sessions.take(idle[~sessions["user_id"].take(idle).duplicated(keep="last")])
    ends = last[["user_id"]].assign(
        conv_id=last["user_id"], conv_date=last["event_date"], conv_time=last["event_time"], revenue=0.0
    )
    if EVENT_UTC in last:
        ends[CONV_UTC] = last[EVENT_UTC]
    paths = build_journeys(sessions, ends, start_date=start_date, end_date=end_date, lookback_days=lookback_days)
    return paths[["user_id", "session_id", "timestamp", "channel_name"]]


def last_orders(users: pd.Series[str], conversions: pd.DataFrame) -> npt.NDArray[np.datetime64]:
    """Return the time [UTC] of each user's last order; NaT without one. Refunds do not count."""
    orders = purchases(conversions)
    orders = orders[orders["user_id"].notna()]
    last = moments(orders, CONV).groupby(factorize(orders["user_id"])).max()
    table = pd.DataFrame({"user_id": orders["user_id"].drop_duplicates().array, "last": last.to_numpy()})
    times: npt.NDArray[np.datetime64] = lookup(users, table, "user_id", "last").to_numpy()
    return times
