"""A simulated shop: its tables, and what its channels caused."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.analysis.reporting import ratio
from ihc.arrays.types import Booleans, Floats, Integers
from ihc.schemas.tables import FLAGS, Tables

FIRST_DAY = np.datetime64("2025-01-01")
SECONDS_A_DAY = 86_400


class World(NamedTuple):
    """A simulated shop.

    `tables`: the three tables; `truth`: `channel_name, cost [currency], incremental_orders [orders],
    incremental_revenue [currency], iROAS [1], share [1]`, one row per channel. The incremental figures of a channel are
    those of the shop minus those of the same shop without the channel, and `share` is the channel's part of their sum
    over all channels. `anyway_orders` would have come without any channel. What a generator does
    not define is NaN. `remains`: whether an order remains without a channel, one row per conversion and one column per
    channel, in their orders; None if a generator does not define it.
    """

    tables: Tables
    truth: pd.DataFrame
    anyway_orders: float = np.nan
    remains: Booleans | None = None


class Visits(NamedTuple):
    """Sessions as arrays: `customer`, `time [days]`, `channel` [position of its name], `holder` and `closer` [0/1]."""

    customer: Integers
    time: Floats
    channel: Integers
    holder: Booleans
    closer: Booleans


class Purchases(NamedTuple):
    """Orders as arrays: `customer`, `time [days]`, `revenue [currency]`."""

    customer: Integers
    time: Floats
    revenue: Floats


def tables_of(visits: Visits, purchases: Purchases, names: tuple[str, ...], cost: Floats) -> Tables:
    """Return the three tables of a shop, each by time. In: `names` of the channels, and the `cost` of each visit."""
    by_time = np.argsort(visits.time, kind="stable")
    day, time = _days_and_times(visits.time[by_time])
    flags = (visits.holder[by_time], visits.closer[by_time], np.zeros(len(day), dtype=bool))
    sessions = pd.DataFrame(
        {
            "session_id": _ids("session", np.arange(len(day))),
            "user_id": _ids("user", visits.customer[by_time]),
            "event_date": day,
            "event_time": time,
            "channel_name": _taken(names, visits.channel[by_time]),
            **{name: flag.astype("int8") for name, flag in zip(FLAGS, flags, strict=True)},
        }
    )
    costs = pd.DataFrame({"session_id": sessions["session_id"], "cost": cost[by_time]})
    by_time = np.argsort(purchases.time, kind="stable")
    day, time = _days_and_times(purchases.time[by_time])
    conversions = pd.DataFrame(
        {
            "conv_id": _ids("order", np.arange(len(day))),
            "user_id": _ids("user", purchases.customer[by_time]),
            "conv_date": day,
            "conv_time": time,
            "revenue": purchases.revenue[by_time],
        }
    )
    return Tables(sessions, conversions, costs)


def truth_of(names: tuple[str, ...], cost: Floats, remains: Booleans, revenue: Floats) -> pd.DataFrame:
    """Return the `truth` of a `World`.

    In: the `names` and `cost` [currency; NaN: unknown] of the channels; `remains`, one row per order and one column per
    channel: whether the order remains without the channel; and the `revenue` of each order.
    """
    orders, worth = (~remains).sum(axis=0).astype("float64"), np.round(revenue @ ~remains, 2)
    frame = pd.DataFrame({"channel_name": pd.Series(names, dtype="str"), "cost": np.round(cost, 4)})
    frame = frame.assign(incremental_orders=orders, incremental_revenue=worth)
    total = orders.sum() or np.nan
    return frame.assign(iROAS=ratio(frame["incremental_revenue"], frame["cost"]), share=orders / total)


def _ids(kind: str, numbers: Integers) -> pd.Series[str]:
    return kind + "-" + pd.Series(numbers + 1).astype("str")


def _taken(texts: tuple[str, ...] | list[str], place: Integers) -> pd.Series[str]:
    return pd.Series(pd.Series(texts, dtype="str").array.take(place))


def _days_and_times(days: Floats) -> tuple[pd.Series[str], pd.Series[str]]:
    """Write times [days since FIRST_DAY] as dates and times of day, in whole seconds."""
    day, second = np.divmod((days * SECONDS_A_DAY).astype("int64"), SECONDS_A_DAY)
    dates = np.datetime_as_string(FIRST_DAY + np.arange(int(day.max(initial=0)) + 1)).tolist()
    return _taken(dates, day), _taken(_times_of_day(), second)


@cache
def _times_of_day() -> list[str]:
    moments = np.datetime_as_string(FIRST_DAY + np.arange(SECONDS_A_DAY).astype("timedelta64[s]"))
    return [text[-8:] for text in moments.tolist()]
