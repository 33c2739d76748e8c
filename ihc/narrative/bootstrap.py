"""Sentences on confidence intervals."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ihc.analysis.bootstrap import CONFIDENCE, ENOUGH_ORDERS, with_intervals
from ihc.formatting import counted, fixed, named, percentage


def intervals_sentence(summary: pd.DataFrame, intervals: pd.DataFrame) -> str:
    """Describe the total's confidence interval, what it does not cover, and which channels have few orders.

    In: `channel_summary` and its `bootstrap_intervals`, each with the total in the last row.
    """
    total = with_intervals(summary, intervals).iloc[-1]
    if total["influenced_conversions"] < 2:
        orders = ("No order", "Only one order")[total["influenced_conversions"]]
        return f"{orders} on these dates has credit, so there are no confidence intervals."
    level = f"{percentage(CONFIDENCE)} confidence interval: "
    earns = f"Attributed revenue is {_span(total, 'ihc_revenue', 0, level)}"
    if pd.notna(total["ROAS"]):
        earns += f". ROAS is {_span(total, 'ROAS', 2)}, excluding untracked orders and spend without a session"
    noise = "The intervals cover sampling noise only. They do not show whether a channel caused the orders."
    channels = intervals.iloc[:-1]
    thin = channels.loc[channels["is_thin"], "channel_name"].tolist()
    few = f"fewer than {ENOUGH_ORDERS} influenced orders"
    verb, whose = ("has", "its interval is") if len(thin) == 1 else ("have", "their intervals are")
    imprecise = f"{len(thin)} of {counted(len(channels), 'channel')} {verb} {few}, so {whose} imprecise: {named(thin)}."
    return f"{earns}. {noise} {imprecise if thin else f'No channel has {few}.'}"


def _span(row: pd.Series[Any], name: str, decimals: int, what: str = "") -> str:
    low, value, high = (fixed(row[column], decimals) for column in (f"{name}_low", name, f"{name}_high"))
    return f"{value} ({what}{low} to {high})"
