"""Days far from all others: a default date of another system, or a typing error in the year."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ihc.errors import counted, some

LONGEST_BREAK = 730  # days without a row, beyond which what lies apart is not of the same time


def far_days(days: pd.Series[Any]) -> pd.Series[bool]:
    """Mark the days that lie apart from most rows, as 0001-01-01 and 9999-12-31 do.

    Rows with more than two years without any row between them belong to different groups; the largest group, the
    latest of equals, is the shop's own time, and all others are far.

    In: days `YYYY-MM-DD`, one for each row. Out: a mask with the same index.
    """
    codes, distinct = pd.factorize(days, sort=True)
    if not len(distinct):
        return pd.Series(False, index=days.index)
    number: npt.NDArray[np.int64] = np.asarray(distinct, dtype="datetime64[D]").astype("int64")
    group = np.cumsum(np.diff(number, prepend=number[:1]) > LONGEST_BREAK)
    rows = np.bincount(group, weights=np.bincount(codes, minlength=len(distinct)))
    main = len(rows) - 1 - int(rows[::-1].argmax())
    return pd.Series((group != main)[codes], index=days.index)


def far_dates(*columns: pd.Series[Any]) -> list[str]:
    """The days that are far, in time order. In: columns of days `YYYY-MM-DD`, the rows of all of which count."""
    days = pd.concat(columns, ignore_index=True)
    return sorted(days[far_days(days)].unique())


def without(frame: pd.DataFrame, column: str, days: Collection[str]) -> pd.DataFrame:
    """Leave out the rows whose `column` is one of `days`."""
    return frame[~frame[column].isin(days)] if days else frame


def far_sentence(rows: pd.DataFrame, orders: pd.DataFrame, days: Collection[str]) -> str:
    """Say what charts and tables over time leave out, as it lies on far days; empty where nothing does.

    In: `channel_reporting` and the conversions of the reported dates, and the `far_dates`.
    """
    sums, placed = rows[rows["date"].isin(days)], orders[orders["conv_date"].isin(days)]
    named = sorted({*sums["date"], *placed["conv_date"]})
    if not named:
        return ""
    which = "1 day that lies" if len(named) == 1 else f"{len(named):,} days that lie"
    return (
        f"Charts and tables over time leave out {which} years apart from all others ({some(named)}): "
        f"{sums['cost'].sum():,.2f} of cost, {sums['ihc_revenue'].sum():,.2f} of attributed revenue and "
        f"{counted(len(placed), 'order')}. All totals have them."
    )
