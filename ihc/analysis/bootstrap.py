"""Bootstrap confidence intervals.

Orders are resampled with replacement to show how much each channel's figures vary by chance.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.analysis.reporting import ratio
from ihc.arrays.types import Floats, Integers
from ihc.errors import InputError
from ihc.formatting import some
from ihc.schemas.tables import require_columns

# A random count of n orders has a standard error of sqrt(n): at 30, its interval is about ± one third. With fewer,
# percentile intervals are also too narrow (Hesterberg, What Teachers Should Know About the Bootstrap, The American
# Statistician 69(4), 2015) and would overstate the confidence.
ENOUGH_ORDERS = 30
CONFIDENCE = 0.95


def bootstrap_intervals(
    earned: pd.DataFrame, summary: pd.DataFrame, *, draws: int = 1000, seed: int = 1
) -> pd.DataFrame:
    """Compute 95 % bootstrap confidence intervals of each channel's figures.

    As many orders as there are get drawn with replacement, each with all its credit, and are summed by channel. The
    bounds are percentiles of the draws (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). The
    number of orders and the costs are fixed. A refund is drawn with its order if it has the `conv_id` of the order, as
    of `refunds.purchase_ids`; otherwise it is in every draw once.

    In: `earned`, the `conversion_credits` of the reported days, and their `channel_summary` with the total in the last
    row. Out: one row per row of `summary`, in its order: `channel_name`; with `_low` and `_high` each: `ihc [orders],
    ihc_revenue [currency], share_of_credit [1], CPO [currency per order], ROAS [1]`; and `is_thin [bool; fewer than
    ENOUGH_ORDERS influenced orders]`. NaN without cost or credit, and with fewer than two orders, because all draws are
    then equal. `CPO_high` is also NaN if some draws have no credit, because it is then unbounded.

    Raises InputError for a missing column, a channel that is not in `summary`, or fewer than one draw.
    """
    require_columns(earned, ("conv_id", "channel_name", "ihc", "ihc_revenue"), "earned")
    require_columns(summary, ("channel_name", "influenced_conversions", "cost", "ihc"), "summary")
    if draws < 1:
        raise InputError(f"The intervals need at least one draw, not {draws}.")
    ihc, revenue = _drawn_sums(earned, pd.Index(summary["channel_name"].iloc[:-1]), draws, seed)
    has_credit = ihc[:, -1] > 0
    bounds = {
        "ihc": _bounds(ihc),
        "ihc_revenue": _bounds(revenue),
        "share_of_credit": _bounds(ihc[has_credit] / ihc[has_credit, -1:]),
    }
    summary = summary.reset_index(drop=True)
    table, cost = summary[["channel_name"]].copy(), summary["cost"]
    for name, (low, high) in bounds.items():
        table[f"{name}_low"], table[f"{name}_high"] = low, high
    # With the cost fixed, the percentiles of a ratio follow from those of its sum; they swap if the sum is the divisor.
    table["CPO_low"], table["CPO_high"] = ratio(cost, table["ihc_high"]), ratio(cost, table["ihc_low"])
    table["ROAS_low"], table["ROAS_high"] = (ratio(table[f"ihc_revenue_{end}"], cost) for end in ("low", "high"))
    return table.assign(is_thin=summary["influenced_conversions"] < ENOUGH_ORDERS)


def _bounds(sums: Floats) -> Floats:
    """Return the lower and the upper percentile of each column; NaN without draws."""
    if not len(sums):
        return np.full((2, sums.shape[1]), np.nan)
    return np.quantile(sums, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)


def _drawn_sums(earned: pd.DataFrame, channels: pd.Index[str], draws: int, seed: int) -> tuple[Floats, Floats]:
    """Sum ihc and ihc_revenue: one row per draw, one column per channel, the total last."""
    conversion, channel, values = _cells(earned, channels)
    # A refund on its own has negative revenue and no credit; it is not drawn.
    credit, worth = (np.bincount(conversion, weights=each) for each in values)
    is_purchase = (credit > 0) | (worth >= 0)
    count = int(is_purchase.sum())
    sums = np.zeros((draws if count > 1 else 0, 2, len(channels) + 1))
    if len(sums):
        starts = np.flatnonzero(np.diff(channel, prepend=-1))
        generator = np.random.default_rng(seed)
        drawn, times, weighted = np.ones(len(is_purchase)), np.empty(len(conversion)), np.empty_like(values)
        for draw in sums:  # one at a time and in place, so that memory does not grow with the draws
            drawn[is_purchase] = np.bincount(generator.integers(count, size=count), minlength=count)
            np.take(drawn, conversion, out=times, mode="clip")  # all positions exist; without `clip` numpy would copy
            np.multiply(values, times, out=weighted)
            draw[:, channel[starts]] = np.add.reduceat(weighted, starts, axis=1)
        sums[:, :, -1] = sums[:, :, :-1].sum(axis=2)
    return sums[:, 0], sums[:, 1]


def _cells(earned: pd.DataFrame, channels: pd.Index[str]) -> tuple[Integers, Integers, Floats]:
    """Sum the credit by channel and order. The result is independent of the row order, down to the last bit."""
    channel = channels.get_indexer(pd.Index(earned["channel_name"]))
    if (channel < 0).any():
        raise InputError(
            f"earned has channels that summary lacks ({some(earned['channel_name'][channel < 0].unique())}): compute "
            "both for the same days."
        )
    conversion, ids = pd.factorize(earned["conv_id"], sort=True)
    values = earned[["ihc", "ihc_revenue"]].to_numpy("float64").T
    cell = channel * len(ids) + conversion
    rows = np.lexsort((values[1], values[0], cell))
    starts = np.flatnonzero(np.diff(cell[rows], prepend=-1))
    first = rows[starts]
    return conversion[first], channel[first], np.add.reduceat(values[:, rows], starts, axis=1)


def with_intervals(summary: pd.DataFrame, intervals: pd.DataFrame) -> pd.DataFrame:
    """Join the intervals to the figures, for a table or a chart.

    In: `channel_summary` and its `bootstrap_intervals`. Out: the columns of both, one row per row of `summary`. Raises
    InputError if the two do not have the same channels in the same order.
    """
    require_columns(summary, ["channel_name"], "summary")
    require_columns(intervals, ["channel_name", "is_thin"], "intervals")
    if summary["channel_name"].tolist() != intervals["channel_name"].tolist():
        raise InputError("summary and intervals have different channels: compute the intervals from this summary.")
    bounds = intervals.drop(columns="channel_name").reset_index(drop=True)
    return summary.reset_index(drop=True).join(bounds)
