"""What moving spend from one channel to another changes, as a range that covers experiments, models and chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from ihc.analysis.reporting import ratio
from ihc.errors import InputError
from ihc.formatting import some
from ihc.schemas.tables import require_columns

OWN, POOLED, PRIOR = "its experiments", "experiments on other channels", "no experiment yet"
COLUMNS = ("channel_name", "evidence", "iROAS_low", "iROAS_high")
# The return of the next unit of spend / the average return. Returns diminish: the effect of spend^e has the ratio e.
MARGINAL = (0.5, 1.0)
CHANGE = "Change in revenue"
GAINS, LOSES, UNSETTLED = "gains", "loses", "may gain or lose"


def responses(table: pd.DataFrame, totals: Mapping[str, pd.DataFrame], summary: pd.DataFrame) -> pd.DataFrame:
    """Collect what is known about the return of each channel with spend.

    In: the frame of `calibrate`; `totals`, the `incremental_table` of each incremental model, by its name; `summary`,
    the `channel_summary` of the days that these models learned from, with the total in the last row.

    Out: one row per channel and evidence: `channel_name, evidence [OWN, POOLED or PRIOR: the interval is that of
    calibrate; or a model], iROAS_low, iROAS_high [1; 95 % interval]`. The models only widen the range of channels
    without an experiment: in simulated shops, most moves that models alone call a gain are a loss. An incremental order
    is worth the mean attributed revenue per order of the channel.
    """
    require_columns(table, ("channel_name", "experiments", "iROAS_low", "iROAS_high"), "table")
    require_columns(summary, ("channel_name", "cost", "ihc", "ihc_revenue"), "summary")
    channels = table.iloc[:-2]
    is_tested = channels["experiments"] > 0
    parts = [channels.assign(evidence=np.where(is_tested, OWN, POOLED if is_tested.any() else PRIOR))]
    untested = channels.loc[~is_tested, "channel_name"]
    rows = summary.iloc[:-1].set_index("channel_name").reindex(untested)
    per_order = ratio(ratio(rows["ihc_revenue"], rows["ihc"]), rows["cost"])
    for name, frame in totals.items():
        found = frame.set_index("channel_name").reindex(untested)
        low, high = (found[f"incremental_orders_{end}"] * per_order for end in ("low", "high"))
        parts.append(pd.DataFrame({"iROAS_low": low, "iROAS_high": high, "evidence": name}).reset_index())
    return pd.concat([part[list(COLUMNS)] for part in parts], ignore_index=True).dropna(ignore_index=True)


class Move(NamedTuple):
    """The effect of moving spend.

    `table`: one row per channel and evidence: `channel_name, evidence, spend_change, revenue_low, revenue_high
    [currency]`; the last row is the CHANGE over both channels and all evidence.
    """

    table: pd.DataFrame

    @property
    def low(self) -> float:
        """The lowest change in revenue [currency]."""
        return float(self.table["revenue_low"].iloc[-1])

    @property
    def high(self) -> float:
        """The highest change in revenue [currency]."""
        return float(self.table["revenue_high"].iloc[-1])

    @property
    def outcome(self) -> str:
        """Whether the move GAINS, LOSES, or is UNSETTLED because its range includes both."""
        return GAINS if self.low > 0 else LOSES if self.high < 0 else UNSETTLED

    @property
    def widest(self) -> str:
        """The channel with the wider range: an experiment on it tells more."""
        ranges = self.table.iloc[:-1].groupby("channel_name").agg({"revenue_low": "min", "revenue_high": "max"})
        return str((ranges["revenue_high"] - ranges["revenue_low"]).idxmax())


def what_if(known: pd.DataFrame, summary: pd.DataFrame, source: str, target: str, share: float = 0.1) -> Move:
    """Estimate how revenue changes if a share of a channel's spend goes to another channel.

    In: `responses`; the `channel_summary` of the report's days, with the total in the last row; the channels `source`
    and `target`; the `share` [1] of the source's spend.

    The return of the moved spend is between the lower `MARGINAL` x the lowest and the higher `MARGINAL` x the highest
    return of any evidence. The change is the lowest gain minus the highest loss, and the highest gain minus the lowest
    loss, as if everything went wrong or right at once.

    Raises InputError for a channel without spend or without evidence, twice the same channel, or a share that is not
    above 0 and up to 1.
    """
    require_columns(known, COLUMNS, "known")
    require_columns(summary, ("channel_name", "cost"), "summary")
    if source == target:
        raise InputError(f"Both channels are {source}; give two different channels.")
    if not 0 < share <= 1:
        raise InputError(f"The share of spend to move is {share}; give a number above 0 and up to 1, such as 0.1.")
    moved = share * _cost(summary.iloc[:-1], source)
    _cost(summary.iloc[:-1], target)
    tables = [_moved(known, source, -moved), _moved(known, target, moved)]
    ends = {"revenue_low": [sum(each["revenue_low"].min() for each in tables)]}
    ends |= {"revenue_high": [sum(each["revenue_high"].max() for each in tables)]}
    change = pd.DataFrame({"channel_name": [CHANGE], "evidence": [""], "spend_change": [0.0]} | ends)
    return Move(pd.concat([*tables, change], ignore_index=True).astype({"channel_name": "str", "evidence": "str"}))


def _cost(channels: pd.DataFrame, name: str) -> float:
    paid = channels[channels["cost"] > 0]
    if name not in set(paid["channel_name"]):
        there = some(sorted(paid["channel_name"]), 12)
        raise InputError(f"{name} has no spend on these days; channels with spend: {there}.")
    return float(paid.set_index("channel_name")["cost"].loc[name])


def _moved(known: pd.DataFrame, name: str, spend: float) -> pd.DataFrame:
    """Return the change in revenue if a channel's spend changes, by each evidence."""
    rows = known[known["channel_name"] == name].reset_index(drop=True)
    if rows.empty:
        raise InputError(f"Nothing is known about the return of {name}: it has no spend or attributed revenue.")
    returns = rows[["iROAS_low", "iROAS_high"]].to_numpy("float64")
    ends = spend * np.column_stack([factor * returns for factor in MARGINAL])
    return rows[["channel_name", "evidence"]].assign(
        spend_change=spend, revenue_low=ends.min(axis=1), revenue_high=ends.max(axis=1)
    )
