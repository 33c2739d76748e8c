"""Sentences on customer journeys and paths."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.bootstrap import ENOUGH_ORDERS
from ihc.formatting import counted, fixed, percent, shown

# A channel is clearly first (or last) more often if it is so in two thirds of at least ENOUGH_ORDERS orders. By chance,
# this happens to one channel in twenty.
CLEAR = 2 / 3
# The upper bounds of the classes of `time_to_conversion`, in words. The last class has no upper bound.
WITHIN = ("an hour", "6 hours", "a day", "3 days", "7 days", "14 days", "30 days")


def paths_sentence(lengths: pd.DataFrame, times: pd.DataFrame, paths: pd.DataFrame, roles: pd.DataFrame) -> str:
    """Describe the length and duration of journeys, the most common path, and the first and last channels.

    In: the frames of `journey_lengths`, `time_to_conversion`, `commonest_paths` and `channel_roles`.
    """
    if not lengths["orders"].sum():
        return "There are no journeys on these dates."
    sentences = [_lengths(lengths, times), _commonest(paths, roles), _first_and_last(roles)]
    return " ".join(filter(None, sentences))


def _lengths(lengths: pd.DataFrame, times: pd.DataFrame) -> str:
    orders = int(lengths["orders"].sum())
    single = int(lengths.loc[lengths["length"] == "1", "orders"].sum())
    if single == orders:
        return "All orders have a single session, so all models agree."
    if not single:
        return f"All orders have several sessions; {_times(times)}."
    part = percent(single / orders)
    rest = counted(orders - single, "order")
    return f"{part} of orders have a single session, so all models agree on them. Of the other {rest}, {_times(times)}."


def _times(times: pd.DataFrame) -> str:
    """State the time within which at least half of the orders with several sessions convert."""
    longer = times.iloc[1:]["orders"]
    reached = (longer.cumsum() / longer.sum()).to_numpy()
    middle = int((reached >= 0.5).argmax())
    if middle == len(WITHIN):
        share = 1 - (reached[middle - 1] if middle else 0)
        return f"{percent(share)} take {WITHIN[-1]} or more from the first to the last session"
    return f"{percent(reached[middle])} take less than {WITHIN[middle]} from the first to the last session"


def _commonest(paths: pd.DataFrame, roles: pd.DataFrame) -> str:
    first = paths.iloc[0]
    orders = counted(first["orders"], "order")
    if first["share"] == 1:
        return f"All orders have the path {shown(first['path'], 80)}." if len(roles) > 1 else ""
    if len(paths) > 1 and paths["orders"].iloc[1] == first["orders"]:
        return f"Several paths are equally common, with {orders} each."
    alone = " alone" if first["path"] in set(roles["channel_name"]) else ""
    return f"The most common path is {shown(first['path'], 80)}{alone}, with {orders} ({percent(first['share'])})."


def _first_and_last(roles: pd.DataFrame) -> str:
    """Name a channel that is clearly more often first than last, and one more often last; empty if there is neither."""
    verbs = (("starts", "ends", "more often first than last"), ("ends", "starts", "more often last than first"))
    found = []
    for one, other, verb in verbs:
        both = roles["starts"] + roles["ends"]
        share = (roles[one] / both.where(both >= ENOUGH_ORDERS)).fillna(0.0)
        if len(share) and share.max() >= CLEAR:
            row = roles.iloc[int(share.argmax())]
            found.append(f"{shown(row['channel_name'])} is {verb} ({fixed(row[one])} vs. {fixed(row[other])} orders)")
    return f"In journeys with several channels, {', and '.join(found)}." if found else ""


def path_finding(paths: pd.DataFrame) -> str:
    """Name the most common path. In: `commonest_paths`."""
    if paths.empty:
        return ""
    row = paths.iloc[0]
    orders = counted(row["orders"], "order")
    return f"The most common path is {shown(row['path'], 60)}, with {orders} ({percent(row['share'])})"


def role_finding(roles: pd.DataFrame) -> str:
    """Name the channels that are most often first and last. In: `channel_roles`."""
    if roles.empty or not roles[["starts", "ends"]].to_numpy().any():
        return ""
    first, last = roles.iloc[int(roles["starts"].argmax())], roles.iloc[int(roles["ends"].argmax())]
    return (
        f"In journeys with several channels, {shown(first['channel_name'])} is most often first "
        f"({counted(first['starts'], 'order')}), {shown(last['channel_name'])} most often last "
        f"({counted(last['ends'], 'order')})"
    )
