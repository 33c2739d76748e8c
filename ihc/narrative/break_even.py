"""Sentences on break-even."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.bootstrap import CONFIDENCE
from ihc.analysis.break_even import ABOVE, BELOW, TOO_FEW, UNCLEAR, by_cost
from ihc.formatting import fixed, general, named, percentage, shown
from ihc.narrative.run import enough_cost


def break_even_sentence(table: pd.DataFrame, roas: float = 1.0) -> str:
    """List the channels with at least 1% of spend that are above break-even, below it, or inconclusive.

    In: `break_even_table`, and the `roas [1]` it was made with.
    """
    paid = by_cost(table)
    if not table["cost"].any():
        return "There is no spend on these dates, so no channel is compared with break-even."
    if paid.empty:
        return f"No channel has {enough_cost()}, so none is compared with break-even."
    told = [_told(paid, verdict, roas) for verdict in (ABOVE, BELOW, UNCLEAR, TOO_FEW)]
    many = f"Of the {len(paid)} channels with {enough_cost()},"
    which = many if len(paid) > 1 else f"Only one channel has {enough_cost()}:"
    text = f"{which} {'; '.join(filter(None, told))}."
    unearned = paid[paid["ihc_revenue"] == 0]
    if unearned.empty:
        return text
    names = named(unearned["channel_name"].tolist())
    return f"{text} Spend without attributed revenue: {fixed(unearned['cost'].sum())} ({names})."


def _told(paid: pd.DataFrame, verdict: str, roas: float) -> str:
    """Count and name the channels with this verdict; empty if there are none, except for `ABOVE`."""
    names = paid.loc[paid["verdict"] == verdict, "channel_name"].tolist()
    above = f"above the break-even ROAS of {general(roas, 4)} ({percentage(CONFIDENCE)} confidence)"
    one, more = {
        ABOVE: (f"is {above}", f"are {above}"),
        BELOW: ("is below", "are below"),
        UNCLEAR: ("is inconclusive", "are inconclusive"),
        TOO_FEW: ("has too few orders", "have too few orders"),
    }[verdict]
    if not names:
        return f"none {one}" if verdict == ABOVE else ""
    return f"{len(names)} {one if len(names) == 1 else more}: {named(names)}"


def headroom_finding(verdicts: pd.DataFrame) -> str:
    """Name the channels furthest above and furthest below break-even. In: `break_even_table`."""
    paid = by_cost(verdicts).dropna(subset=["headroom"])
    if paid.empty:
        return "No channel has enough spend to compare with break-even"
    best, worst = paid.iloc[int(paid["headroom"].argmax())], paid.iloc[int(paid["headroom"].argmin())]
    parts = []
    if best["headroom"] > 0:
        parts.append(f"{shown(best['channel_name'])} has the most headroom, {fixed(best['headroom'])}")
    if worst["headroom"] < 0:
        parts.append(f"{shown(worst['channel_name'])} is {fixed(-worst['headroom'])} over its break-even spend")
    return "; ".join(parts) or "Every channel is exactly at break-even: headroom 0"
