"""Sentences on the journeys' paths."""

from __future__ import annotations

import pandas as pd

from ihc.analysis.bootstrap import ENOUGH_ORDERS
from ihc.formatting import counted, fixed, percent, shown

# A channel begins, or ends, clearly more journeys if it does so in two thirds of ENOUGH_ORDERS: chance alone does
# that to one channel in twenty.
CLEAR = 2 / 3
# The upper ends of the classes of `time_to_conversion`, in words; the last has none.
WITHIN = ("an hour", "6 hours", "a day", "3 days", "7 days", "14 days", "30 days")


def paths_sentence(lengths: pd.DataFrame, times: pd.DataFrame, paths: pd.DataFrame, roles: pd.DataFrame) -> str:
    """Say how long journeys are and how long they take, which path is the commonest, and who begins and ends them.

    In: the frames of `journey_lengths`, `time_to_conversion`, `commonest_paths` and `channel_roles`.
    """
    if not lengths["orders"].sum():
        return "There is no journey in these dates."
    sentences = [_lengths(lengths, times), _commonest(paths, roles), _begin_and_end(roles)]
    return " ".join(filter(None, sentences))


def _lengths(lengths: pd.DataFrame, times: pd.DataFrame) -> str:
    orders = int(lengths["orders"].sum())
    single = int(lengths.loc[lengths["length"] == "1", "orders"].sum())
    if single == orders:
        return "Every order takes a single session, so all models agree on all of them."
    if not single:
        return f"No order takes a single session; {_times(times)}."
    part = percent(single / orders)
    rest = counted(orders - single, "order")
    return (
        f"{part} of the orders take a single session, on which all models agree; of the rest ({rest}), {_times(times)}."
    )


def _times(times: pd.DataFrame) -> str:
    """Up to which class of time at least half of the orders with several sessions are."""
    longer = times.iloc[1:]["orders"]
    reached = (longer.cumsum() / longer.sum()).to_numpy()
    middle = int((reached >= 0.5).argmax())
    if middle == len(WITHIN):
        share = 1 - (reached[middle - 1] if middle else 0)
        return f"{percent(share)} take {WITHIN[-1]} or more from the first session to the last"
    return f"{percent(reached[middle])} take less than {WITHIN[middle]} from the first session to the last"


def _commonest(paths: pd.DataFrame, roles: pd.DataFrame) -> str:
    first = paths.iloc[0]
    orders = counted(first["orders"], "order")
    if first["share"] == 1:
        return f"All orders have the path {shown(first['path'], 80)}." if len(roles) > 1 else ""
    if len(paths) > 1 and paths["orders"].iloc[1] == first["orders"]:
        return f"Several paths are equally common, with {orders} each."
    alone = " alone" if first["path"] in set(roles["channel_name"]) else ""
    return f"The commonest path is {shown(first['path'], 80)}{alone}, with {orders} ({percent(first['share'])})."


def _begin_and_end(roles: pd.DataFrame) -> str:
    """A channel that clearly begins more journeys than it ends, and one that ends more; empty where neither is."""
    verbs = (("starts", "ends", "begins more than it ends"), ("ends", "starts", "ends more than it begins"))
    found = []
    for one, other, verb in verbs:
        both = roles["starts"] + roles["ends"]
        share = (roles[one] / both.where(both >= ENOUGH_ORDERS)).fillna(0.0)
        if len(share) and share.max() >= CLEAR:
            row = roles.iloc[int(share.argmax())]
            found.append(f"{shown(row['channel_name'])} {verb} ({fixed(row[one])} against {fixed(row[other])})")
    return f"Of the journeys through several channels, {', and '.join(found)}." if found else ""


def path_finding(paths: pd.DataFrame) -> str:
    """The commonest path. In: `commonest_paths`."""
    if paths.empty:
        return ""
    row = paths.iloc[0]
    return f"The commonest path is {shown(row['path'], 60)}: {counted(row['orders'], 'order')}, {percent(row['share'])}"


def role_finding(roles: pd.DataFrame) -> str:
    """Which channel is first most often, and which last. In: `channel_roles`."""
    if roles.empty or not roles[["starts", "ends"]].to_numpy().any():
        return ""
    first, last = roles.iloc[int(roles["starts"].argmax())], roles.iloc[int(roles["ends"].argmax())]
    return (
        f"Of paths through several channels, {shown(first['channel_name'])} is first most often "
        f"({counted(first['starts'], 'order')}), {shown(last['channel_name'])} last ({counted(last['ends'], 'order')})"
    )
