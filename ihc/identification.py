"""Which channel weights the answers identify: only journeys that split a phase between channels tell their weights."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ihc.engine import workings
from ihc.errors import counted, some
from ihc.parameters import Parameters
from ihc.schemas import PHASES

FEW = 5  # journeys below which a weight is not identified
LEAST = 0.01  # share of a phase, without weights, below which four decimals hardly tell a weight


def splits(fitted: pd.DataFrame, parameters: Parameters) -> dict[str, pd.DataFrame]:
    """Find the journeys that split a phase between channels.

    In: the `fitted` sessions, with the engine's columns, and the `parameters` that were found.
    Out: by phase `conv_id, channel_name`, one row per channel of such a journey. Channel weights do not matter: a
    channel whose weight is near 0 takes part as well.
    """
    rows, found = workings(fitted, parameters), {}
    for phase in PHASES:
        membership = rows[f"{phase}_membership"].where(rows["counts"], 0.0)
        share = membership / membership.groupby(rows["conv_id"]).transform("sum")
        names = fitted["channel_name"].astype("str").to_numpy()
        pairs = rows[["conv_id"]].assign(channel_name=names)[share >= LEAST].drop_duplicates()
        found[phase] = pairs[pairs["conv_id"].duplicated(keep=False)]
    return found


def with_journeys(channels: pd.DataFrame, found: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Put beside each weight the journeys that tell it.

    In: `channel_name`, and for each phase `<phase>_weight`; `splits`. Out: for each phase `<phase>_weight` and
    `<phase>_journeys [count]`.
    """
    table = channels[["channel_name"]].copy()
    for phase, pairs in found.items():
        journeys = table["channel_name"].map(pairs["channel_name"].value_counts()).fillna(0).astype("int64")
        table = table.assign(**{f"{phase}_weight": channels[f"{phase}_weight"], f"{phase}_journeys": journeys})
    return table


def unidentified(channels: pd.DataFrame, fitted: pd.DataFrame, found: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Name the weights that the answers do not identify. In: `with_journeys`, the `fitted` sessions, `splits`."""
    for phase, pairs in found.items():
        journeys = channels.set_index("channel_name")[f"{phase}_journeys"]
        few = journeys[journeys < FEW].sort_index()
        if len(channels) > 1 and len(few) and fitted[phase].any():
            names = [f"{counted(count, 'journey')}: {some(few.index[few == count])}" for count in sorted(set(few))]
            yield (
                f"Not identified: {len(few):,} of {len(channels):,} {phase} weights ({'; '.join(names)}). A weight "
                f"needs {FEW} journeys that split the {phase} between its channel and another; "
                f"{pairs['conv_id'].nunique():,} of {fitted['conv_id'].nunique():,} split it between any."
            )
