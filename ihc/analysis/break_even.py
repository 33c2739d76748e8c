"""Break-even ROAS and headroom per channel."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ihc.analysis.bootstrap import with_intervals
from ihc.analysis.reporting import MATERIAL
from ihc.errors import InputError
from ihc.schemas.tables import require_columns

ABOVE, BELOW, UNCLEAR, TOO_FEW, NO_SPEND = "above", "below", "inconclusive", "too few orders", "no spend"


def break_even_table(summary: pd.DataFrame, intervals: pd.DataFrame, roas: float = 1.0) -> pd.DataFrame:
    """Compare each channel's ROAS with the break-even ROAS, and compute its headroom.

    In: `channel_summary` and its `bootstrap_intervals`, with the total in the last rows; `roas [1]`, the break-even
    ROAS, 1 / margin: 4 at a margin of 25 %.

    Out: one row per channel, in the order of `summary`: `channel_name, cost, ihc_revenue [currency], ROAS, ROAS_low,
    ROAS_high [1], break_even_cost [currency; ihc_revenue / roas, the cost at which the channel breaks even with
    unchanged revenue], headroom [currency; break_even_cost - cost; NaN below 1 % of all cost], verdict`. The verdict is
    `no spend` for a channel without cost; `above` if the whole interval is at least `roas`; `below` if the whole
    interval is less. If the interval contains `roas` or is missing, it is `too few orders` for a thin channel,
    otherwise `inconclusive`. A channel with daily spend and without any session can get no credit: `too few orders`.

    Raises InputError for a missing column, intervals of other channels, or a `roas` that is not above 0.
    """
    if not 0 < roas < np.inf:
        raise InputError(f"The break-even ROAS must be a number above 0, such as 4 at a margin of 25 %, not {roas}.")
    require_columns(summary, ("channel_name", "cost", "ihc_revenue", "ROAS"), "summary")
    require_columns(intervals, ("channel_name", "ROAS_low", "ROAS_high", "is_thin"), "intervals")
    table = with_intervals(summary, intervals).iloc[:-1]
    table = table.assign(break_even_cost=table["ihc_revenue"] / roas, verdict=_verdicts(table, roas))
    headroom = (table["break_even_cost"] - table["cost"]).where(_is_material(table["cost"]))
    figures = ["channel_name", "cost", "ihc_revenue", "ROAS", "ROAS_low", "ROAS_high", "break_even_cost"]
    return table.assign(headroom=headroom)[[*figures, "headroom", "verdict"]]


def _is_material(cost: pd.Series[float]) -> pd.Series[bool]:
    return (cost > 0) & (cost >= MATERIAL * cost.sum())


def _verdicts(table: pd.DataFrame, roas: float) -> pd.Series[str]:
    """Return the first verdict that applies to each row."""
    has_sessions = table["sessions"] > 0 if "sessions" in table else table["cost"].notna()
    holds = {
        NO_SPEND: table["cost"] == 0,
        ABOVE: table["ROAS_low"] >= roas,
        BELOW: (table["ROAS_high"] < roas) & has_sessions,
        TOO_FEW: table["is_thin"] | ~has_sessions,
    }
    verdicts = np.select([mask.to_numpy("bool") for mask in holds.values()], list(holds), UNCLEAR)
    return pd.Series(verdicts, index=table.index, dtype="str")


def by_roas(table: pd.DataFrame) -> pd.DataFrame:
    """Return the channels with cost, highest ROAS first. In and out: rows of `break_even_table`."""
    return table[table["verdict"] != NO_SPEND].sort_values("ROAS", ascending=False, kind="stable", ignore_index=True)


def by_cost(table: pd.DataFrame) -> pd.DataFrame:
    """Return the channels with at least 1 % of all cost, highest cost first.

    In: all rows of `break_even_table`. Out: some of them.
    """
    return table[_is_material(table["cost"])].sort_values("cost", ascending=False, kind="stable", ignore_index=True)
