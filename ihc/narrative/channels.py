"""Sentences on where in the journeys channels work."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ihc.analysis.bootstrap import ENOUGH_ORDERS
from ihc.formatting import percentage, shown
from ihc.schemas.tables import PHASES


def phases_sentence(table: pd.DataFrame) -> str:
    """Name the channel that starts journeys most and the one that closes them most, against the mean channel.

    In: `phase_shares`. Channels with fewer than ENOUGH_ORDERS attributed orders are not compared: one order would do
    to lead.
    """
    known = table.dropna(subset=list(PHASES))
    if not table["ihc"].any():
        return "There is no credited order on the reported days, so there are no phases to compare."
    if known.empty:
        return "The stored credits have no phases, so nothing says where in a journey a channel works."
    enough = known[known["ihc"].round(6) >= ENOUGH_ORDERS]  # a sum of shares may miss a whole by a last bit
    many = f"at least {ENOUGH_ORDERS} attributed orders"
    if enough.empty:
        return f"No channel has {many}, so none are compared by where in a journey they work."
    if len(enough) == 1:
        row = enough.iloc[0]
        starts, holds, closes = (percentage(row[phase]) for phase in PHASES)
        parts = f"starts {starts}, holds {holds} and closes {closes}"
        return f"Only one channel has {many}: of its work in journeys, {shown(row['channel_name'])} {parts}."
    return f"Of the {len(enough)} channels with {many}, {_leading(enough)}."


def _leading(table: pd.DataFrame) -> str:
    first, last = table.iloc[int(table["initializer"].argmax())], table.iloc[int(table["closer"].argmax())]
    starts, closes = (_share(row, table, phase) for row, phase in ((first, "initializer"), (last, "closer")))
    if starts and closes and first["channel_name"] == last["channel_name"]:
        both = f"most about starting journeys {starts} and most about closing them {closes}"
        return f"{shown(first['channel_name'])} is {both}, least about holding"
    told = [
        f"{shown(row['channel_name'])} is most about {verb} journeys {share}"
        if share
        else f"none stands out in {verb} journeys"
        for row, verb, share in ((first, "starting", starts), (last, "closing", closes))
    ]
    return ", ".join(told)


def _share(best: pd.Series[Any], table: pd.DataFrame, phase: str) -> str:
    """The largest share of a phase beside the mean one; empty where all are printed alike."""
    least, mean, most = (percentage(value) for value in (table[phase].min(), table[phase].mean(), best[phase]))
    return f"({most}, mean {mean})" if least != most else ""
