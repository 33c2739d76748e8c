"""Channel figures from credits: scores, influence, credit distribution, redistribution and conversion types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ihc.analysis.reporting import influenced, ratio, total_name
from ihc.arrays.lookup import PAIR, get_pair_indexer, join, lookup
from ihc.arrays.sums import sum_by, total
from ihc.errors import InputError
from ihc.formatting import counted, some
from ihc.schemas.conversion_types import CONVERSION_TYPE, types_of
from ihc.schemas.refunds import is_purchase
from ihc.schemas.tables import CREDITS, PHASES, SHARES, require_columns

CHANNEL_CREDITS = ("conv_id", "channel_name", "ihc")
EDGES = (0.1, 0.25, 0.5)  # edges of the credit classes; an edge belongs to the class below it
CLASSES = ("no_credit", "up_to_10", "up_to_25", "up_to_50", "below_all", "all_credit")
BY_CHANNEL = ["channel_name", CONVERSION_TYPE]
COUNTS, AMOUNTS = ("orders", "untracked"), ("revenue", "ihc", "ihc_revenue")
ROUNDING = 1e-9  # credit below this counts as 0, and credit this close to 1 as 1


def with_channels(credits: pd.DataFrame, journeys: pd.DataFrame) -> pd.DataFrame:
    """Add the channel of its session to each credit.

    In: `credits` (`conv_id, session_id, ihc`, and more), and the `journeys` of the same orders. Out: the credits with
    `channel_name`; a credit whose session is in no journey is left out. Raises InputError for a missing column.
    """
    require_columns(credits, CREDITS, "credits")
    require_columns(journeys, (*PAIR, "channel_name"), "journeys")
    placed = join(credits, journeys, ["channel_name"])
    return placed[placed["channel_name"].notna()]


def channel_scores(credits: pd.DataFrame) -> pd.DataFrame:
    """Score each channel's share of each phase against the mean share.

    In: `channel_name, initializer, holder, closer, ihc` of each session's credit, as of `with_channels`.

    Out: highest `ihc_score` first: `channel_name, initializer_score, holder_score, closer_score, ihc_score [1]`, each
    the channel's share of the phase / the mean share of the channels in these journeys; NaN for a phase without credit.
    Raises InputError for a missing column.
    """
    sums = _sums(credits, SHARES)
    scores = (sums / sums.mean().where(sums.sum() > 0)).add_suffix("_score")
    return scores.sort_values("ihc_score", ascending=False, kind="stable").reset_index()


def _sums(credits: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    require_columns(credits, ("channel_name", *columns), "credits")
    return sum_by(credits, ["channel_name"], columns).set_index("channel_name")


def influenced_conversions(credits: pd.DataFrame) -> pd.DataFrame:
    """Count the orders with each channel in their journey, with or without credit.

    In: `conv_id, channel_name, ihc` of each session's credit, as of `with_channels`.

    Out: highest count first: `channel_name, influenced_conversions [distinct orders with the channel in their journey],
    share_of_conversions [1; of all orders with credits; an order with two channels counts for both]`. Raises InputError
    for a missing column.
    """
    require_columns(credits, CHANNEL_CREDITS, "credits")
    counts = influenced(credits).sort_values(ascending=False, kind="stable").rename("influenced_conversions")
    table = counts.reset_index()
    return table.assign(share_of_conversions=table["influenced_conversions"] / credits["conv_id"].nunique())


def average_impact(credits: pd.DataFrame) -> pd.DataFrame:
    """Compute each channel's mean credit per order it influenced: low for assisting, high for deciding channels.

    In: `conv_id, channel_name, ihc` of each session's credit, as of `with_channels`.

    Out: `influenced_conversions` with `ihc [orders; sum of its credit]` and `average_impact [1; ihc /
    influenced_conversions]`. Raises InputError for a missing column.
    """
    table = influenced_conversions(credits).join(_sums(credits, ["ihc"]), on="channel_name")
    return table.assign(average_impact=ratio(table["ihc"], table["influenced_conversions"]))


def credit_distribution(credits: pd.DataFrame) -> pd.DataFrame:
    """Compute the distribution of credit over each channel's sessions, from none to all of an order.

    A session counts once per journey. In: `conv_id, channel_name, ihc` of each session's credit, as of `with_channels`.

    Out: highest count first: `channel_name, sessions_in_journeys [count]`, and their share [1] in each class of `ihc`:
    `no_credit [0], up_to_10 [above 0, to 0.1], up_to_25, up_to_50, below_all [above 0.5, below 1], all_credit [1]`.
    Raises InputError for a missing column.
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
    """Compare two sets of credits of the same sessions, such as without and with a redistribution.

    In: `before` and `after` (`conv_id, session_id, ihc`), and their `journeys`. Out: highest credit before first:
    `channel_name, ihc_before, ihc_after, ihc_change [orders]`. Raises InputError for a missing column, and if the
    sessions differ.
    """
    for frame, what in ((before, "before"), (after, "after")):
        require_columns(frame, CREDITS, what)
    pairs = ((before, after), (after, before))
    alone = pd.concat([one.loc[get_pair_indexer(one, other) < 0, "conv_id"] for one, other in pairs])
    if len(alone):
        raise InputError(
            f"before and after have different sessions: {counted(len(alone), 'session')} occur in only one of them, "
            f"for example in order {some(alone.unique(), 1)}. Compute both for the same journeys."
        )
    sums = (_sums(with_channels(frame, journeys), ["ihc"])["ihc"] for frame in (before, after))
    table = pd.DataFrame(dict(zip(("ihc_before", "ihc_after"), sums, strict=True)))
    table = table.sort_values("ihc_before", ascending=False, kind="stable").reset_index()
    return table.assign(ihc_change=table["ihc_after"] - table["ihc_before"])


def phase_shares(credits: pd.DataFrame) -> pd.DataFrame:
    """Compute how a channel's credit splits into the phases: starting, holding and closing journeys.

    In: `channel_name, initializer, holder, closer, ihc` of each session's credit, as of `with_channels`. A phase is NaN
    if another program stored the credit; it then counts as 0.

    Out: highest `ihc` first: `channel_name, ihc [orders; sum of its credit], initializer, holder, closer [1; the sum
    over its sessions / the sum of all three phases; NaN if that is 0]`. Raises InputError for a missing column.
    """
    phases = list(PHASES)
    sums = _sums(credits, ["ihc", *phases])
    whole = sums[phases].sum(axis=1)
    sums[phases] = sums[phases].div(whole.where(whole != 0), axis="index")
    return sums.sort_values("ihc", ascending=False, kind="stable").reset_index()


def by_type(
    conversions: pd.DataFrame, orders: pd.DataFrame, outcomes: pd.DataFrame, earned: pd.DataFrame
) -> pd.DataFrame:
    """Sum orders and credit by conversion type.

    In: all conversions; those of the reported dates; `outcomes` (`conv_id, outcome`); and the `conversion_credits` of
    the reported sessions. Out: `conversion_type, orders, untracked [count; without refunds], revenue [currency; after
    refunds], ihc [orders], ihc_revenue [currency]`, most revenue first, the total in the last row.
    """
    kinds = conversions[["conv_id"]].assign(**{CONVERSION_TYPE: types_of(conversions)})
    counts = is_purchase(orders)
    is_untracked = lookup(orders["conv_id"], outcomes, "conv_id", "outcome").eq("unattributed").to_numpy("bool")
    rows = orders[["conv_id", "revenue"]].assign(orders=counts * 1.0, untracked=(counts & is_untracked) * 1.0)
    parts = ((rows, (*COUNTS, "revenue")), (earned, ("ihc", "ihc_revenue")))
    sums = [sum_by(_with_types(frame, kinds), [CONVERSION_TYPE], columns) for frame, columns in parts]
    table = sums[0].merge(sums[1], how="outer", on=CONVERSION_TYPE).fillna(dict.fromkeys((*COUNTS, *AMOUNTS), 0.0))
    table = table.sort_values(["revenue", CONVERSION_TYPE], ascending=[False, True])
    whole = {name: total(frame[name]) for frame, columns in parts for name in columns}
    row = {CONVERSION_TYPE: total_name(table[CONVERSION_TYPE]), **whole}
    return pd.concat([table, pd.DataFrame([row])], ignore_index=True).astype(dict.fromkeys(COUNTS, "int64"))


def by_channel_and_type(conversions: pd.DataFrame, earned: pd.DataFrame) -> pd.DataFrame:
    """Sum credit by channel and conversion type. In: as `by_type`.

    Out: `channel_name, conversion_type, ihc [orders], ihc_revenue [currency]`, by channel and type.
    """
    kinds = conversions[["conv_id"]].assign(**{CONVERSION_TYPE: types_of(conversions)})
    return sum_by(_with_types(earned, kinds), BY_CHANNEL, ["ihc", "ihc_revenue"])


def _with_types(frame: pd.DataFrame, kinds: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{CONVERSION_TYPE: lookup(frame["conv_id"], kinds, "conv_id", CONVERSION_TYPE)})
