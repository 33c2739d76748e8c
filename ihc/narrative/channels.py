"""Sentences on confidence intervals, channel roles by phase and conversion types."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ihc.analysis.bootstrap import CONFIDENCE, ENOUGH_ORDERS, with_intervals
from ihc.formatting import counted, fixed, named, percentage, shown
from ihc.schemas.conversion_types import CONVERSION_TYPE
from ihc.schemas.tables import PHASES


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


def phases_sentence(table: pd.DataFrame) -> str:
    """Name the channels with the highest initializer and closer shares, compared with the average channel.

    In: `phase_shares`. Channels with fewer than ENOUGH_ORDERS attributed orders are left out, because a single order
    could put them first.
    """
    known = table.dropna(subset=list(PHASES))
    if not table["ihc"].any():
        return "No order on these dates has credit, so there are no phases to compare."
    if known.empty:
        return "The stored credits have no phases, so the roles of the channels are unknown."
    enough = known[known["ihc"].round(6) >= ENOUGH_ORDERS]  # rounded: a float sum may be just below a whole number
    many = f"at least {ENOUGH_ORDERS} attributed orders"
    if enough.empty:
        return f"No channel has {many}, so their roles are not compared."
    if len(enough) == 1:
        row = enough.iloc[0]
        starts, holds, closes = (percentage(row[phase]) for phase in PHASES)
        parts = f"{starts} initializer, {holds} holder and {closes} closer"
        return f"The credit of {shown(row['channel_name'])} is {parts}. No other channel has {many}."
    return f"{_leading(enough)}. This compares the {len(enough)} channels with {many}."


def _leading(table: pd.DataFrame) -> str:
    """Describe the channels with the highest initializer and closer shares."""
    first, last = table.iloc[int(table["initializer"].argmax())], table.iloc[int(table["closer"].argmax())]
    starts, closes = (_share(row, table, phase) for row, phase in ((first, "initializer"), (last, "closer")))
    if starts and closes and first["channel_name"] == last["channel_name"]:
        both = f"has the highest initializer share {starts} and the highest closer share {closes}"
        return f"{shown(first['channel_name'])} {both}, and the lowest holder share"
    if not starts and not closes:
        return "No channel stands out as initializer or closer"
    starting = f"{shown(first['channel_name'])} has the highest initializer share {starts}"
    verb = "the" if starts else "has the"
    closing = f"{shown(last['channel_name'])} {verb} highest closer share {closes}"
    return f"{starting if starts else 'No channel stands out as initializer'}, " + (
        closing if closes else "no channel stands out as closer"
    )


def _share(best: pd.Series[Any], table: pd.DataFrame, phase: str) -> str:
    """Write the highest and the average share of a phase; empty if all shares look the same in print."""
    least, mean, most = (percentage(value) for value in (table[phase].min(), table[phase].mean(), best[phase]))
    return f"({most}, average {mean})" if least != most else ""


def types_sentence(table: pd.DataFrame) -> str:
    """Count the types and name the one with most revenue. In: `by_type`, the total in its last row."""
    whole, first = table.iloc[-1], table.iloc[0]
    return (
        f"{counted(whole['orders'], 'order')} of {counted(len(table) - 1, 'conversion type')}; "
        f"{shown(first[CONVERSION_TYPE])} has the most revenue, {fixed(first['revenue'], 2)} of "
        f"{fixed(whole['revenue'], 2)}. Attributed figures are those of the sessions on these dates, as in the table "
        "of channels."
    )


def chosen_type_sentence(name: str | None) -> str:
    """State that only conversions of one type are reported; empty if all are."""
    return "" if name is None else f"Only conversions of the type {shown(name)} are counted."
