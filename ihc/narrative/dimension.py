"""Sentences on what the report's rows stand for."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ihc.analysis.dimension import Folding
from ihc.formatting import counted, percent, some

BY_CHANNEL = "the engine, what changed since the last run, channel_reporting.csv and order_credits.csv"


def dimension_sentence(
    sessions: pd.DataFrame, *, by: str | None = None, groups: Mapping[str, str] | None = None
) -> str:
    """Say what stands in the channels' place, and which channels have no group. In: the sessions as they were read."""
    if by is not None:
        return (
            f"The rows are the values of the column {by}, not channels; what says channel below means those, but for "
            f"{BY_CHANNEL}."
        )
    if groups is None:
        return ""
    names = sorted(sessions["channel_name"].unique())
    unmapped = [name for name in names if name not in groups]
    text = f"{counted(len(names) - len(unmapped), 'channel')} of {len(names)} are put into groups"
    if not unmapped:
        return f"{text}; what says channel below means a group, but for {BY_CHANNEL}."
    return f"{text}; without a group, and under their own name: {some(unmapped, 12)}."


def folding_sentence(few: Folding, summary: pd.DataFrame) -> str:
    """Say which channels tables and charts name, and what the others come to; empty where all are named.

    In: the folding, and the `channel_summary` of its channels, the rest in one row and the total in the last.
    """
    if not few.rest:
        return ""
    rest, total = summary[summary["channel_name"] == few.rest].iloc[0], summary.iloc[-1]
    cost, revenue = (percent(rest[name] / total[name]) if total[name] else "0%" for name in ("cost", "ihc_revenue"))
    named = counted(len(few.named), "channel")
    return (
        f"Charts and tables name the {named} with the most attributed revenue or cost. The others have {cost} of the "
        f"cost and {revenue} of the attributed revenue; where figures can be summed up, they are the row {few.rest!r}. "
        "The CSV files have every channel."
    )
