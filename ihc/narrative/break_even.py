"""Sentences on break-even."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.bootstrap import CONFIDENCE
from ihc.analysis.break_even import ABOVE, BELOW, TOO_FEW, UNCLEAR, by_cost
from ihc.formatting import fixed, general, named, percentage, shown
from ihc.narrative.run import enough_cost


def break_even_sentence(table: pd.DataFrame, roas: float = 1.0) -> str:
    """Say which of the channels with at least 1 % of the cost are above break-even, below it, or neither surely.

    In: `break_even_table`, and the `roas [1]` it was made with.
    """
    paid = by_cost(table)
    if not table["cost"].any():
        return "Nothing was spent on the reported days, so there is nothing to earn back."
    if paid.empty:
        return f"No channel has {enough_cost()}, so none is judged by whether it breaks even."
    told = [_told(paid, verdict, roas) for verdict in (ABOVE, BELOW, UNCLEAR, TOO_FEW)]
    many = f"Of the {len(paid)} channels with {enough_cost()},"
    which = many if len(paid) > 1 else f"Only one channel has {enough_cost()}:"
    text = f"{which} {'; '.join(filter(None, told))}."
    vain = paid[paid["ihc_revenue"] == 0]
    if vain.empty:
        return text
    names = named(vain["channel_name"].tolist())
    return f"{text} Without any attributed revenue, {fixed(vain['cost'].sum())} of cost: {names}."


def _told(paid: pd.DataFrame, verdict: str, roas: float) -> str:
    """How many channels have the verdict, and which; empty where none has, but for the one that is hoped for."""
    names = paid.loc[paid["verdict"] == verdict, "channel_name"].tolist()
    above = f"above break-even ROAS {general(roas, 4)} ({percentage(CONFIDENCE)} confidence)"  # always told, and first
    one, more = {
        ABOVE: (f"is {above}", f"are {above}"),
        BELOW: ("is below it", "are below it"),
        UNCLEAR: ("is inconclusive", "are inconclusive"),
        TOO_FEW: ("has too few orders", "have too few orders"),
    }[verdict]
    if not names:
        return f"none {one}" if verdict == ABOVE else ""
    return f"{len(names)} {one if len(names) == 1 else more}: {named(names)}"


def headroom_finding(verdicts: pd.DataFrame) -> str:
    """Which channel is furthest above break-even, and which furthest below. In: `break_even_table`."""
    paid = by_cost(verdicts).dropna(subset=["headroom"])
    if paid.empty:
        return "No channel has enough spend for a break-even"
    best, worst = paid.iloc[int(paid["headroom"].argmax())], paid.iloc[int(paid["headroom"].argmin())]
    parts = []
    if best["headroom"] > 0:
        parts.append(f"{shown(best['channel_name'])} has the most headroom, {fixed(best['headroom'])}")
    if worst["headroom"] < 0:
        parts.append(f"{shown(worst['channel_name'])} is {fixed(-worst['headroom'])} over its break-even spend")
    return "; ".join(parts) or "Every channel is exactly at break-even, headroom 0"
