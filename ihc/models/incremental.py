"""Orders that the channels caused, and those that would have come anyway, as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ihc.arrays.types import Floats

ANYWAY = "Would have come anyway"
SMALLEST = 1e-9  # orders; below it, all shares are 0
BOUNDS = (2.5, 97.5)  # percentiles of a 95 % interval


def with_anyway(incremental: Floats, orders: float) -> Floats:
    """Append the rest of the `orders`, which would have come anyway, to those of the channels."""
    return np.append(incremental, orders - incremental.sum())


def incremental_table(names: pd.Series[str], orders: Floats, drawn: Sequence[Floats]) -> pd.DataFrame:
    """Return the orders of the channels, then of ANYWAY.

    In: `orders` as of `with_anyway`, and those of each draw of a bootstrap. Out: `channel_name, incremental_orders
    [orders], incremental_orders_low, incremental_orders_high [orders; 95 % confidence interval, the percentiles of the
    draws; NaN without any]`, and `incremental_share [share of the sum over the channels; NaN for ANYWAY]` with its
    interval.
    """
    table = pd.DataFrame({"channel_name": pd.Series([*names, ANYWAY], dtype="str")})
    every = np.array([orders, *drawn])
    share = np.full(every.shape, np.nan)
    share[:, :-1] = every[:, :-1] / np.maximum(every[:, :-1].sum(axis=1, keepdims=True), SMALLEST)
    for name, values in (("incremental_orders", every), ("incremental_share", share)):
        low, high = np.percentile(values[1:], BOUNDS, axis=0) if len(drawn) else np.full((2, len(orders)), np.nan)
        table = table.assign(**{name: values[0], f"{name}_low": low, f"{name}_high": high})
    return table
