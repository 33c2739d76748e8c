"""What the credits say of the channels: scores by phase, influence, how the credit is spread, what a change moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ihc.analysis.reporting import influenced, ratio
from ihc.arrays.lookup import PAIR, get_pair_indexer, join
from ihc.arrays.sums import sum_by
from ihc.errors import InputError
from ihc.formatting import counted, some
from ihc.schemas.tables import CREDITS, PHASES, SHARES, require_columns

CHANNEL_CREDITS = ("conv_id", "channel_name", "ihc")
EDGES = (0.1, 0.25, 0.5)  # between the classes of credit, each belonging to the class below it
CLASSES = ("no_credit", "up_to_10", "up_to_25", "up_to_50", "below_all", "all_credit")
ROUNDING = 1e-9  # credit below this, or this close to 1, is a rounding of none, or of all


def with_channels(credits: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    """Put beside each credit the channel of its session.

    In: `credits` (`conv_id, session_id, ihc`, and more), and the `journeys` of the same orders.
    Out: the credits with `channel_name`; a credit whose session is in no journey here has no row.
    Raises InputError for a missing column.
    """
    require_columns(credits, CREDITS, "credits")
    require_columns(journeys, (*PAIR, "channel_name"), "journeys")
    placed = join(credits, journeys, ["channel_name"])
    return placed[placed["channel_name"].notna()]


def channel_scores(credits: pd.DataFrame) -> pd.DataFrame:
    """Compare the channels' parts in each phase with the mean channel's.

    In: `channel_name, initializer, holder, closer, ihc` of each session's credit, as of `with_channels`.

    Out: by falling score of all credit `channel_name, initializer_score, holder_score, closer_score, ihc_score [1]`:
    the channel's share of what all sessions have in the phase / the mean share of the channels in these journeys; NaN
    for a phase in which no session has anything. Raises InputError for a missing column.
    """
    sums = _sums(credits, SHARES)
    scores = (sums / sums.mean().where(sums.sum() > 0)).add_suffix("_score")
    return scores.sort_values("ihc_score", ascending=False, kind="stable").reset_index()


def _sums(credits: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The sums of `columns`, by channel."""
    require_columns(credits, ("channel_name", *columns), "credits")
    return sum_by(credits, ["channel_name"], columns).set_index("channel_name")


def influenced_conversions(credits: pd.DataFrame) -> pd.DataFrame:
    """Count the orders in which each channel took part, whether or not it got credit for it.

    In: `conv_id, channel_name, ihc` of each session's credit, as of `with_channels`.

    Out: by falling count `channel_name, influenced_conversions [distinct orders with the channel in their journey],
    share_of_conversions [1; of all orders with credits: an order with two channels counts in both]`.
    Raises InputError for a missing column.
    """
    require_columns(credits, CHANNEL_CREDITS, "credits")
    counts = influenced(credits).sort_values(ascending=False, kind="stable").rename("influenced_conversions")
    table = counts.reset_index()
    return table.assign(share_of_conversions=table["influenced_conversions"] / credits["conv_id"].nunique())


def average_impact(credits: pd.DataFrame) -> pd.DataFrame:
    """Say how much of an order a channel earns where it takes part: a low one assists, a high one decides.

    In: `conv_id, channel_name, ihc` of each session's credit, as of `with_channels`.

    Out: `influenced_conversions` with `ihc [orders; sum of its credit]` and `average_impact [1; ihc /
    influenced_conversions, the mean of its credit over the orders it influenced]`.
    Raises InputError for a missing column.
    """
    table = influenced_conversions(credits).join(_sums(credits, ["ihc"]), on="channel_name")
    return table.assign(average_impact=ratio(table["ihc"], table["influenced_conversions"]))


def credit_distribution(credits: pd.DataFrame) -> pd.DataFrame:
    """Say how the credit of a channel's sessions is spread: from none to all of an order.

    A session counts once for each journey it stands in.
    In: `conv_id, channel_name, ihc` of each session's credit, as of `with_channels`.

    Out: by falling count `channel_name, sessions_in_journeys [count]`, and the share of these [1] in each class of
    `ihc`: `no_credit [0], up_to_10 [above 0, to 0.1], up_to_25, up_to_50, below_all [above 0.5, below 1], all_credit
    [1]`. Raises InputError for a missing column.
    """
    require_columns(credits, CHANNEL_CREDITS, "credits")
    edges = [ROUNDING, *EDGES, 1 - ROUNDING]
    classes = np.searchsorted(edges, credits["ihc"], side="left")
    names, channels = pd.factorize(credits["channel_name"], sort=True)
    cells = np.bincount(names * len(CLASSES) + classes, minlength=len(channels) * len(CLASSES))
    counts = pd.DataFrame(cells.reshape(-1, len(CLASSES)), columns=list(CLASSES))
    total = counts.sum(axis=1)
    table = counts.div(total, axis="index")
    table.insert(0, "channel_name", pd.Series(channels, dtype="str"))
    table.insert(1, "sessions_in_journeys", total)
    return table.sort_values("sessions_in_journeys", ascending=False, kind="stable", ignore_index=True)


def before_after(before: pd.DataFrame, after: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    """Compare two credits of the same sessions, as without and with a redistribution.

    In: `before` and `after` (`conv_id, session_id, ihc`), and their `journeys`.
    Out: by falling credit before `channel_name, ihc_before, ihc_after, ihc_change [orders]`.
    Raises InputError for a missing column, and where the two are not of the same sessions.
    """
    for frame, what in ((before, "before"), (after, "after")):
        require_columns(frame, CREDITS, what)
    pairs = ((before, after), (after, before))
    alone = pd.concat([one.loc[get_pair_indexer(one, other) < 0, "conv_id"] for one, other in pairs])
    if len(alone):
        raise InputError(
            f"before and after are not credits of the same sessions: {counted(len(alone), 'session')} stand only in "
            f"one of them, as in order {some(alone.unique(), 1)}; take both of the same journeys."
        )
    sums = (_sums(with_channels(frame, journeys), ["ihc"])["ihc"] for frame in (before, after))
    table = pd.DataFrame(dict(zip(("ihc_before", "ihc_after"), sums, strict=True)))
    table = table.sort_values("ihc_before", ascending=False, kind="stable").reset_index()
    return table.assign(ihc_change=table["ihc_after"] - table["ihc_before"])


def phase_shares(credits: pd.DataFrame) -> pd.DataFrame:
    """Say where in the journeys a channel works: whether it starts them, holds the interest or closes them.

    In: `channel_name, initializer, holder, closer, ihc` of each session's credit, as of `with_channels`; a phase is NaN
    where another program stored the credit, and counts as nothing.

    Out: by falling `ihc` `channel_name, ihc [orders; sum of its credit], initializer, holder, closer [1; the sum over
    its sessions / that of all three phases, NaN where it has none]`. Raises InputError for a missing column.
    """
    phases = list(PHASES)
    sums = _sums(credits, ["ihc", *phases])
    whole = sums[phases].sum(axis=1)
    sums[phases] = sums[phases].div(whole.where(whole != 0), axis="index")
    return sums.sort_values("ihc", ascending=False, kind="stable").reset_index()
