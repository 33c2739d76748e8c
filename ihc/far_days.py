"""Days far from all others: a default date of another system, or a typing error in the year."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

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
